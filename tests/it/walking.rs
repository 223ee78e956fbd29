//! Walking: which files are examined, and under which of its paths an image is stored.

use std::fs;
use std::path::PathBuf;

use crate::support::{Place, Ran, sample};

/// Returns the folder around a place's images.
fn around(place: &Place) -> PathBuf {
    fs::canonicalize(place.photos().parent().unwrap()).unwrap()
}

/// Copies a sample to a path relative to the folder around.
fn put(place: &Place, name: &str, path: &str) {
    let path = around(place).join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::copy(sample(name), path).unwrap();
}

/// Returns the stored paths, relative to the folder around, as one text.
fn stored(place: &Place) -> String {
    let index = imgsearch::index::Index::open(place.index_dir()).unwrap();
    let paths = index.to_reader().unwrap().paths().unwrap();
    let around = around(place);
    let names: Vec<&str> = paths
        .iter()
        .map(|path| path.strip_prefix(&around).unwrap().to_str().unwrap())
        .collect();
    names.join(" ")
}

#[track_caller]
fn indexed(place: &Place, arguments: &[&str]) -> Ran {
    let arguments = [&["index", "--json"], arguments].concat();
    place.run(&arguments).ended(0)
}

/// Returns how many images are found under a path.
#[track_caller]
fn found_under(place: &Place, path: &str) -> usize {
    let image = sample("cat.jpg");
    let arguments = ["query", image.to_str().unwrap(), "--json", "--under", path];
    let ran = place.run(&arguments);
    assert!(ran.status < 2, "{ran:?}");
    ran.json_lines()[0]["results"].as_array().unwrap().len()
}

#[test]
fn a_file_that_an_ignore_file_leaves_out_is_not_indexed() {
    let place = Place::with(&["cat.jpg"]);
    put(&place, "coffee.jpg", "photos/private/coffee.jpg");
    put(&place, "rocket.jpg", "photos/trips/rocket.jpg");
    put(&place, "grass.jpg", "photos/trips/grass.jpg");
    fs::write(place.photo(".imgsearchignore"), "private/\ngrass.*\n").unwrap();
    // The ignore file of the folder above decides, whatever is named.
    for named in [
        "photos/private",
        "photos/private/coffee.jpg",
        "photos/trips/grass.jpg",
    ] {
        let ran = place.run(&["index", named]).ended(0);
        assert!(
            ran.stderr.contains(".imgsearchignore in a folder above"),
            "{ran:?}"
        );
    }
    indexed(&place, &["photos/trips"]);
    assert_eq!(stored(&place), "photos/trips/rocket.jpg");
}

#[test]
fn an_image_that_is_left_out_later_is_forgotten() {
    let place = Place::with(&["cat.jpg"]);
    put(&place, "coffee.jpg", "photos/private/in/coffee.jpg");
    put(&place, "rocket.jpg", "photos/rocket.jpg");
    indexed(&place, &["photos"]);
    // An option of one run is no reason to forget.
    indexed(&place, &["photos", "--ignore", "rocket.*"]);
    let all = "photos/cat.jpg photos/private/in/coffee.jpg photos/rocket.jpg";
    assert_eq!(stored(&place), all);
    fs::write(place.photo(".imgsearchignore"), "private/\n").unwrap();
    indexed(&place, &["photos"]);
    assert_eq!(stored(&place), "photos/cat.jpg photos/rocket.jpg");
}

#[cfg(unix)]
#[test]
fn an_unusable_ignore_file_lets_nothing_pass() {
    let place = Place::with(&["cat.jpg"]);
    put(&place, "coffee.jpg", "photos/private/coffee.jpg");
    indexed(&place, &["photos"]);
    put(&place, "rocket.jpg", "photos/private/rocket.jpg");
    let file = place.photo("private/.imgsearchignore");
    let refused = |said: &str| {
        let ran = place.run(&["index", "photos"]).ended(1);
        let reported = ran.stderr.contains("photos/private: its .imgsearchignore")
            && ran.stderr.contains(said);
        assert!(reported, "{ran:?}");
        assert_eq!(stored(&place), "photos/cat.jpg photos/private/coffee.jpg");
    };
    fs::write(&file, "rocket[.jpg\n").unwrap();
    refused("line 1");
    fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &file).unwrap();
    refused("not a regular file");
    fs::remove_file(&file).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&file).status();
    assert!(made.unwrap().success());
    refused("not a regular file");
    fs::remove_file(&file).unwrap();
    fs::write(&file, "coffee.*\n").unwrap();
    let ran = place.run(&["index", "photos"]).ended(0);
    assert!(!ran.stderr.contains("cannot look"), "{ran:?}");
    assert!(stored(&place).contains("photos/private/rocket.jpg"));
}

#[test]
fn an_exclamation_mark_takes_back_a_pattern_and_leaves_nothing_out() {
    let place = Place::with(&["cat.jpg", "coffee.jpg"]);
    indexed(&place, &["photos", "--ignore", "!cat.jpg"]);
    assert_eq!(stored(&place), "photos/cat.jpg photos/coffee.jpg");
    let other = Place::with(&["cat.jpg", "coffee.jpg"]);
    indexed(
        &other,
        &["photos", "--ignore", "*.jpg", "--ignore", "!cat.jpg"],
    );
    assert_eq!(stored(&other), "photos/cat.jpg");
}

#[cfg(unix)]
#[test]
fn a_broken_link_is_reported_unless_it_is_left_out() {
    let place = Place::with(&["cat.jpg"]);
    std::os::unix::fs::symlink("nowhere.jpg", place.photo("broken.jpg")).unwrap();
    let reported = place.run(&["index", "photos"]).ended(1);
    assert!(reported.stderr.contains("broken.jpg"), "{reported:?}");
    let ran = place
        .run(&["index", "photos", "--ignore", "broken.*"])
        .ended(0);
    assert!(!ran.stderr.contains("broken.jpg"), "{ran:?}");
}

#[cfg(unix)]
mod links {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn remove_forgets_a_link_and_not_its_target() {
        let place = Place::new();
        put(&place, "cat.jpg", "b/cat.jpg");
        put(&place, "coffee.jpg", "a/coffee.jpg");
        symlink("../b/cat.jpg", around(&place).join("a/link.jpg")).unwrap();
        indexed(&place, &["a"]);
        indexed(&place, &["b"]);
        assert_eq!(stored(&place), "a/coffee.jpg a/link.jpg b/cat.jpg");
        place.run(&["remove", "a/link.jpg"]).ended(0);
        assert_eq!(stored(&place), "a/coffee.jpg b/cat.jpg");
        // If only the target is stored, the link names it.
        assert_eq!(found_under(&place, "a/link.jpg"), 1);
        place.run(&["remove", "a/link.jpg"]).ended(0);
        assert_eq!(stored(&place), "a/coffee.jpg");
        // A file that is gone keeps its name.
        indexed(&place, &["a"]);
        fs::remove_file(around(&place).join("b/cat.jpg")).unwrap();
        assert_eq!(found_under(&place, "a/link.jpg"), 1);
        place.run(&["remove", "a/link.jpg"]).ended(0);
        assert_eq!(stored(&place), "a/coffee.jpg");
    }

    #[test]
    fn a_name_through_a_link_is_the_one_that_is_stored() {
        let place = Place::with(&["cat.jpg"]);
        put(&place, "coffee.jpg", "outside/coffee.jpg");
        put(&place, "rocket.jpg", "outside/in/rocket.jpg");
        symlink("../outside", place.photo("elsewhere")).unwrap();
        indexed(&place, &["photos"]);
        let all = "photos/cat.jpg photos/elsewhere/coffee.jpg photos/elsewhere/in/rocket.jpg";
        assert_eq!(stored(&place), all);
        for (path, images) in [
            ("photos/elsewhere", 2),
            ("photos/elsewhere/in", 1),
            ("photos/elsewhere/in/rocket.jpg", 1),
            ("photos/elsewhere/../outside", 0),
            ("photos", 3),
        ] {
            assert_eq!(found_under(&place, path), images, "{path}");
        }
        // No second copy is stored, not even of new files there.
        put(&place, "grass.jpg", "outside/new/grass.jpg");
        for path in [
            "photos/elsewhere",
            "photos/elsewhere/in",
            "photos/elsewhere/coffee.jpg",
        ] {
            let unchanged = indexed(&place, &[path]).summary()["unchanged"].clone();
            assert!(unchanged.as_u64() > Some(0), "{path}: {unchanged}");
        }
        put(&place, "gravel.jpg", "outside/newer/gravel.jpg");
        indexed(&place, &["photos/elsewhere/newer"]);
        let run = indexed(&place, &["photos"]).summary();
        assert_eq!(
            (&run["added"], &run["unchanged"]),
            (&0.into(), &5.into()),
            "{run}"
        );
        place.run(&["remove", "photos/elsewhere/in"]).ended(0);
        place.run(&["remove", "photos/elsewhere"]).ended(0);
        assert_eq!(stored(&place), "photos/cat.jpg");
    }

    #[test]
    fn a_link_that_is_named_first_is_walked_under_the_same_name() {
        let place = Place::new();
        put(&place, "cat.jpg", "b/cat.jpg");
        put(&place, "coffee.jpg", "outside/coffee.jpg");
        fs::create_dir(around(&place).join("a")).unwrap();
        symlink("../b/cat.jpg", around(&place).join("a/link.jpg")).unwrap();
        symlink("../outside", around(&place).join("a/folder")).unwrap();
        indexed(&place, &["a/link.jpg", "a/folder"]);
        let run = indexed(&place, &["a"]).summary();
        assert_eq!(
            (&run["added"], &run["unchanged"]),
            (&0.into(), &2.into()),
            "{run}"
        );
        assert_eq!(stored(&place), "a/folder/coffee.jpg a/link.jpg");
        // The folder was indexed under the name of a link, and its own name means the same.
        let run = indexed(&place, &["outside"]).summary();
        assert_eq!(
            (&run["added"], &run["unchanged"]),
            (&0.into(), &1.into()),
            "{run}"
        );
        assert_eq!(found_under(&place, "outside"), 1);
        place.run(&["remove", "outside"]).ended(0);
        assert_eq!(stored(&place), "a/link.jpg");
    }

    #[test]
    fn a_link_does_not_lead_out_to_the_folders_around_it() {
        let place = Place::with(&["cat.jpg"]);
        put(&place, "coffee.jpg", "neighbour/coffee.jpg");
        symlink("..", place.photo("up")).unwrap();
        symlink("/", place.photo("top")).unwrap();
        symlink("../neighbour", place.photo("one")).unwrap();
        symlink("../neighbour", place.photo("two")).unwrap();
        indexed(&place, &["photos"]);
        assert_eq!(stored(&place), "photos/cat.jpg photos/one/coffee.jpg");
        indexed(&place, &["photos"]);
        assert_eq!(stored(&place), "photos/cat.jpg photos/one/coffee.jpg");
    }

    #[test]
    fn links_into_a_hidden_folder_are_images() {
        // As git-annex stores them.
        let place = Place::new();
        put(&place, "cat.jpg", "photos/.git/annex/objects/aa/1.jpg");
        put(&place, "coffee.jpg", "photos/.git/annex/objects/bb/2");
        symlink(".git/annex/objects/aa/1.jpg", place.photo("cat.jpg")).unwrap();
        symlink(".git/annex/objects/bb/2", place.photo("coffee.jpg")).unwrap();
        indexed(&place, &["photos"]);
        assert_eq!(stored(&place), "photos/cat.jpg photos/coffee.jpg");
        place.run(&["remove", "photos/cat.jpg"]).ended(0);
        assert_eq!(stored(&place), "photos/coffee.jpg");
        indexed(&place, &["photos/cat.jpg"]);
        assert_eq!(stored(&place), "photos/cat.jpg photos/coffee.jpg");
    }
}

/// Tests that need a user without root's privileges.
#[cfg(unix)]
mod powerless {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    use std::os::unix::process::CommandExt;
    use std::path::Path;
    use std::process::Command;

    use super::*;
    use crate::support::ran;

    const NOBODY: u32 = 65_534;

    /// A user who cannot read all files, with everything that the program needs.
    struct Powerless<'a> {
        place: &'a Place,
        /// The program and ONNX Runtime, if root gives up its privileges.
        copies: Option<(PathBuf, PathBuf)>,
    }

    impl<'a> Powerless<'a> {
        fn at(place: &'a Place) -> Self {
            let is_superuser = fs::metadata(place.photos()).unwrap().uid() == 0;
            let copies = is_superuser.then(|| {
                let known = place.run(&["runtime", "--json"]).ended(0);
                let library = known.json_lines()[0]["library"].clone();
                let library = PathBuf::from(library.as_str().unwrap());
                let copy = |from: &Path| {
                    let to = around(place).join(from.file_name().unwrap());
                    fs::copy(from, &to).unwrap();
                    to
                };
                (
                    copy(Path::new(env!("CARGO_BIN_EXE_imgsearch"))),
                    copy(&library),
                )
            });
            Self { place, copies }
        }

        fn run(&self, arguments: &[&str]) -> Ran {
            let Some((program, library)) = &self.copies else {
                return self.place.run(arguments);
            };
            own(&around(self.place));
            let mut command = Command::new(program);
            command
                .args(arguments)
                .current_dir(around(self.place))
                .env("HOME", around(self.place))
                .env("IMGSEARCH_INDEX", self.place.index_dir())
                .env("ORT_DYLIB_PATH", library)
                .env_remove("XDG_CACHE_HOME")
                .env_remove("XDG_DATA_HOME")
                .uid(NOBODY)
                .gid(NOBODY);
            ran(command.output().unwrap())
        }
    }

    /// Changes the owner of a folder and everything below it to nobody.
    fn own(path: &Path) {
        std::os::unix::fs::lchown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        if path.is_dir() && !path.is_symlink() {
            for entry in fs::read_dir(path).unwrap() {
                own(&entry.unwrap().path());
            }
        }
    }

    fn allow(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Returns whether this is root without the right to become another user, as in some containers.
    fn cannot_become_nobody() -> bool {
        let place = Place::new();
        let refused = fs::metadata(place.photos()).unwrap().uid() == 0
            && (chown(place.photos(), Some(NOBODY), Some(NOBODY)).is_err()
                || Command::new("true")
                    .uid(NOBODY)
                    .gid(NOBODY)
                    .status()
                    .is_err());
        if refused {
            eprintln!("skipped: a superuser reads every file, and cannot become nobody here");
        }
        refused
    }

    #[test]
    fn an_image_that_cannot_be_opened_stays_with_any_name() {
        if cannot_become_nobody() {
            return;
        }
        let place = Place::with(&["cat.jpg"]);
        put(&place, "coffee.jpg", "photos/coffee");
        put(&place, "rocket.jpg", "photos/rocket.jpg");
        let powerless = Powerless::at(&place);
        powerless.run(&["index", "photos"]).ended(0);
        for name in ["coffee", "rocket.jpg"] {
            allow(&place.photo(name), 0o000);
        }
        let ran = powerless.run(&["index", "photos"]).ended(1);
        assert!(ran.stderr.contains("photos/coffee: "), "{ran:?}");
        let all = "photos/cat.jpg photos/coffee photos/rocket.jpg";
        assert_eq!(stored(&place), all);
        for name in ["coffee", "rocket.jpg"] {
            allow(&place.photo(name), 0o644);
        }
        let run = powerless.run(&["index", "photos", "--json"]).ended(0);
        assert_eq!(run.summary()["unchanged"], 3, "{run:?}");
    }

    #[test]
    fn an_unreadable_ignore_file_lets_nothing_pass() {
        if cannot_become_nobody() {
            return;
        }
        let place = Place::with(&["cat.jpg"]);
        put(&place, "coffee.jpg", "photos/in/coffee.jpg");
        let powerless = Powerless::at(&place);
        powerless.run(&["index", "photos"]).ended(0);
        put(&place, "rocket.jpg", "photos/in/private.jpg");
        fs::write(place.photo("in/.imgsearchignore"), "private.jpg\n").unwrap();
        allow(&place.photo("in/.imgsearchignore"), 0o000);
        let ran = powerless.run(&["index", "photos"]).ended(1);
        assert!(
            ran.stderr
                .contains("photos/in: its .imgsearchignore cannot be read"),
            "{ran:?}"
        );
        assert_eq!(stored(&place), "photos/cat.jpg photos/in/coffee.jpg");
        let named = powerless.run(&["index", "photos/in/private.jpg"]).ended(1);
        assert!(named.stderr.contains("its .imgsearchignore"), "{named:?}");
        assert_eq!(stored(&place), "photos/cat.jpg photos/in/coffee.jpg");
    }
}
