//! Actions on duplicates through the library, at a terminal, and undone step by step.

use std::fs;

use imgsearch::Library;
use imgsearch::duplicates::action::{Action, Group, Member};

use crate::duplicates_action::{beside, events, files, run, set_date, trashed, with_duplicates};
use crate::support::{Place, ran, sample};

/// Returns the group of all cats, the first one the best.
fn cats(library: &Library) -> Group {
    let reader = library.index_view().unwrap().to_reader().unwrap();
    let images = reader.all().unwrap();
    let cats = images
        .iter()
        .filter(|image| image.path.ends_with("cat.jpg"));
    let members: Vec<Member> = cats.map(Member::from).collect();
    assert_eq!(members.len(), 3);
    Group { members, best: 0 }
}

#[test]
fn what_happens_between_plan_and_action_is_noticed() {
    let place = with_duplicates();
    let mut library = Library::open(place.index_dir()).unwrap();
    let moved = beside(&place, "moved");
    let to = || Action::Move { to: moved.clone() };
    let groups = [cats(&library)];
    let plan = library.plan_action(&groups, to(), &[], &[]).unwrap();
    assert_eq!(plan.files(), 2);
    // The best file vanishes: what is left may be the last of its content.
    fs::rename(place.photo("cat.jpg"), beside(&place, "aside.jpg")).unwrap();
    let applied = library.apply_plan(&plan, &()).unwrap();
    assert_eq!((applied.done, applied.left_alone), (0, 2));
    assert_eq!(files(&moved).len(), 0);
    fs::rename(beside(&place, "aside.jpg"), place.photo("cat.jpg")).unwrap();
    // Another file vanishes: the rest goes on.
    fs::remove_file(&plan.groups[0].steps[0].member.path).unwrap();
    let applied = library.apply_plan(&plan, &()).unwrap();
    assert_eq!((applied.done, applied.left_alone), (1, 1));
    assert_eq!(files(&moved).len(), 1);
    let back = library.undo_action(&()).unwrap().unwrap();
    assert_eq!((back.back, back.not_back), (1, 0));
}

#[test]
fn a_cancelled_action_stops_between_two_files() {
    use std::sync::atomic::AtomicBool;
    let place = with_duplicates();
    let mut library = Library::open(place.index_dir()).unwrap();
    let groups = [cats(&library)];
    let plan = library
        .plan_action(&groups, Action::Hardlink, &[], &[])
        .unwrap();
    let applied = library.apply_plan(&plan, &AtomicBool::new(true)).unwrap();
    assert!(applied.interrupted && applied.done == 0);
    assert_eq!(library.undo_action(&()).unwrap(), None);
}

#[test]
fn only_files_under_the_chosen_folder_are_touched() {
    let place = with_duplicates();
    let mut library = Library::open(place.index_dir()).unwrap();
    let groups = [cats(&library)];
    let under = [place.photo("copies/2019")];
    let plan = library
        .plan_action(&groups, Action::Hardlink, &[], &under)
        .unwrap();
    assert_eq!(plan.files(), 1);
    assert_eq!(library.apply_plan(&plan, &()).unwrap().done, 1);
    drop(library);
    run(&place, &["--undo"]).ended(0);
}

/// Moves one of two pictures of coffee to the folder `moved`.
fn move_coffee(place: &Place) {
    let coffee = ["photos/coffee.jpg", "photos/copies/coffee.jpg"];
    let under = coffee.iter().flat_map(|path| ["--under", path]);
    let arguments: Vec<&str> = ["--apply", "move:moved", "--yes"]
        .into_iter()
        .chain(under)
        .collect();
    run(place, &arguments).ended(0);
}

#[test]
fn undoing_goes_back_action_by_action() {
    let place = with_duplicates();
    let before = files(&place.photos());
    move_coffee(&place);
    assert!(!place.photo("copies/coffee.jpg").exists());
    run(&place, &["--apply", "trash", "--yes"]).ended(0);
    assert!(!place.photo("copies/cat.jpg").exists());
    let first = run(&place, &["--undo", "--json"]).ended(0);
    assert_eq!(events(&first, "summary")[0]["action"], "trash");
    assert!(place.photo("copies/cat.jpg").exists() && !place.photo("copies/coffee.jpg").exists());
    let second = run(&place, &["--undo", "--json"]).ended(0);
    assert_eq!(events(&second, "summary")[0]["action"], "move");
    assert_eq!(files(&place.photos()), before);
    run(&place, &["--undo"]).ended(1);
}

#[test]
fn undoing_overwrites_nothing_and_can_be_tried_again() {
    let place = with_duplicates();
    move_coffee(&place);
    run(&place, &["--apply", "trash", "--yes"]).ended(0);
    let taken = place.photo("copies/cat.jpg");
    fs::write(&taken, "mine").unwrap();
    let ran = run(&place, &["--undo"]).ended(1);
    assert!(ran.stderr.contains("another file is there now"), "{ran:?}");
    assert!(ran.stderr.contains("try once more"), "{ran:?}");
    assert_eq!(fs::read(&taken).unwrap(), b"mine");
    assert!(place.photo("copies/2019/cat.jpg").exists());
    fs::rename(&taken, beside(&place, "mine")).unwrap();
    run(&place, &["--undo"]).ended(0);
    assert_eq!(
        fs::read(&taken).unwrap(),
        fs::read(sample("cat.jpg")).unwrap()
    );

    // What cannot come back at all does not stand in the way of the action before.
    run(&place, &["--apply", "trash", "--yes"]).ended(0);
    fs::remove_dir_all(beside(&place, "data")).unwrap();
    let lost = run(&place, &["--undo"]).ended(1);
    assert!(
        lost.stderr.contains("not in the trash any more"),
        "{lost:?}"
    );
    assert!(lost.stderr.contains("the action before"), "{lost:?}");
    run(&place, &["--undo"]).ended(0);
    assert!(place.photo("copies/coffee.jpg").exists());
}

#[test]
fn a_linked_file_that_was_edited_since_is_not_replaced() {
    let place = with_duplicates();
    run(&place, &["--apply", "hardlink", "--yes"]).ended(0);
    // Whoever writes into a link writes into all of its names.
    fs::write(place.photo("cat.jpg"), "edited").unwrap();
    let ran = run(&place, &["--undo"]).ended(1);
    assert_eq!(ran.stderr.matches("it was changed").count(), 2, "{ran:?}");
    assert_eq!(fs::read(place.photo("copies/cat.jpg")).unwrap(), b"edited");
    assert_eq!(fs::read(place.photo("cat.jpg")).unwrap(), b"edited");
}

#[test]
fn undoing_waits_for_a_folder_that_is_out_of_reach() {
    let place = with_duplicates();
    run(&place, &["--apply", "trash", "--yes"]).ended(0);
    let away = beside(&place, "away");
    fs::rename(place.photo("copies"), &away).unwrap();
    let ran = run(&place, &["--undo"]).ended(1);
    assert!(ran.stderr.contains("is a disk not mounted?"), "{ran:?}");
    assert_eq!(trashed(&place).len(), 3);
    assert!(
        !place.photo("copies").exists(),
        "no folder is made where a disk belongs"
    );
    fs::rename(&away, place.photo("copies")).unwrap();
    run(&place, &["--undo"]).ended(0);
    assert!(place.photo("copies/2019/cat.jpg").exists());
}

#[cfg(unix)]
#[test]
fn names_that_are_no_text_come_back_as_they_were() {
    use std::os::unix::ffi::OsStrExt as _;
    let place = Place::with(&["cat.jpg"]);
    let odd = place
        .photos()
        .join(std::ffi::OsStr::from_bytes(b"caf\xe9\n 100%25.jpg"));
    fs::copy(sample("cat.jpg"), &odd).unwrap();
    set_date(&place.photo("cat.jpg"), 0);
    place.index();
    for action in ["trash", "move:moved", "hardlink"] {
        run(&place, &["--apply", action, "--yes"]).ended(0);
        assert!(action == "hardlink" || !odd.exists());
        run(&place, &["--undo"]).ended(0);
        assert!(odd.exists(), "{action}");
    }
}

#[test]
fn another_writer_is_waited_for_by_the_person() {
    let place = with_duplicates();
    let library = Library::open(place.index_dir()).unwrap();
    let writer = imgsearch::index::Writer::open_existing(&place.index_dir()).unwrap();
    let before = files(&place.photos());
    let ran = run(&place, &["--apply", "trash", "--yes"]).ended(2);
    assert!(ran.stderr.contains("Wait until it is done"), "{ran:?}");
    assert_eq!(files(&place.photos()), before);
    drop((writer, library));
}

#[cfg(target_os = "linux")]
#[test]
fn a_person_at_a_terminal_is_asked() {
    use std::io::Write as _;
    use std::process::{Command, Stdio};
    let place = with_duplicates();
    for (typed, status, left) in [("\n", 1, 6), ("n\n", 1, 6), ("yes\n", 0, 3)] {
        let program = env!("CARGO_BIN_EXE_imgsearch");
        let child = Command::new("script")
            .args([
                "-qec",
                &format!("'{program}' duplicates --apply trash"),
                "/dev/null",
            ])
            .current_dir(place.photos().parent().unwrap())
            .env("IMGSEARCH_INDEX", place.index_dir())
            .env("XDG_DATA_HOME", beside(&place, "data"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let Ok(mut child) = child else {
            println!("skipped: there is no script(1), which makes terminals");
            return;
        };
        child
            .stdin
            .as_mut()
            .unwrap()
            .write_all(typed.as_bytes())
            .unwrap();
        let asked = ran(child.wait_with_output().unwrap());
        assert!(
            asked.stdout.contains("Move 3 files to the trash?"),
            "{asked:?}"
        );
        assert_eq!(asked.status, status, "{asked:?}");
        assert_eq!(files(&place.photos()).len(), left, "{asked:?}");
    }
}
