//! Limits of the system, and disks that come and go.

use std::fs;
use std::process::Command;

use super::Watch;
use crate::forgetting::{pieces, stored};
use crate::support::{Place, ran, sample};

/// Returns the command for `watch` under a limit of watched folders, or `None` if none can be set here.
fn limited(place: &Place, arguments: &[&str]) -> Option<Command> {
    let limit = "echo 3 > /proc/sys/user/max_inotify_watches";
    let probe = Command::new("unshare")
        .args(["-Ur", "sh", "-c", limit])
        .output();
    if !probe.is_ok_and(|output| output.status.success()) {
        println!("skipped: no limit can be set here, which takes unshare and namespaces of users");
        return None;
    }
    let mut command = Command::new("unshare");
    command
        .args(["-Ur", "sh", "-c", &format!("{limit}; exec \"$@\""), "sh"])
        .args([env!("CARGO_BIN_EXE_imgsearch"), "watch", "photos"])
        .args(arguments)
        .current_dir(place.photos().parent().unwrap())
        .env("IMGSEARCH_INDEX", place.index_dir());
    Some(command)
}

#[test]
fn too_many_folders_are_an_error_that_names_the_limit_unless_they_are_looked_at_regularly() {
    let place = Place::with(&["cat.jpg"]);
    for name in ["a", "b", "c", "d"] {
        fs::create_dir(place.photo(name)).unwrap();
    }
    let Some(mut command) = limited(&place, &[]) else {
        return;
    };
    let failed = ran(command.output().unwrap()).ended(2);
    for said in ["user.max_inotify_watches is 3", "sudo sysctl", "--poll 60"] {
        assert!(failed.stderr.contains(said), "{failed:?}");
    }
    let command = limited(&place, &["--json", "--poll", "1"]).unwrap();
    let mut watch = Watch::ready(command);
    assert_eq!(watch.number_of("incomplete"), 1);
    for name in ["a/coffee.jpg", "d/rocket.jpg"] {
        fs::copy(sample(name.split_once('/').unwrap().1), place.photo(name)).unwrap();
        watch.does(&[("added", 1)]);
    }
    fs::remove_file(place.photo("d/rocket.jpg")).unwrap();
    watch.does(&[("removed", 1)]);
    assert_eq!(stored(&place), 2);
    watch.end();
}

#[test]
fn a_disk_that_is_unmounted_and_mounted_again_keeps_its_images_and_is_watched() {
    let place = Place::new();
    let neighbour = place.photos().with_file_name("neighbour");
    pieces(&place.photos(), 0..3);
    pieces(&neighbour, 10..15);
    fs::create_dir(place.photo("disk")).unwrap();
    // Disks are mounted in a namespace of its own, where the watcher runs.
    let script = "
        mount -t tmpfs none photos/disk
        cp -p neighbour/010.png neighbour/011.png neighbour/012.png neighbour/013.png photos/disk
        $IMGSEARCH watch photos --json > events & pid=$!
        # Waits until the events have a line that matches.
        event() { for i in $(seq 900); do grep -q \"$1\" events && return; sleep 0.2; done; cat events; exit 9; }
        event '\"event\":\"watching\"'
        umount photos/disk
        event '\"event\":\"kept\"'
        event '\"kept_missing\":4'
        mount -t tmpfs none photos/disk
        cp -p neighbour/010.png neighbour/011.png neighbour/012.png neighbour/013.png photos/disk
        sleep 2
        cp neighbour/014.png photos/disk
        event '014.png'
        for i in $(seq 900); do
            test \"$($IMGSEARCH status --json | grep -c '\"images\":8')\" = 1 && break; sleep 0.2
        done
        kill -TERM $pid; wait $pid
    ";
    let possible = Command::new("unshare")
        .args(["-m", "mount", "-t", "tmpfs", "none", "/mnt"])
        .output();
    if !possible.is_ok_and(|output| output.status.success()) {
        println!("skipped: disks cannot be mounted here, which takes root and unshare");
        return;
    }
    let mut command = Command::new("unshare");
    command
        .args(["-m", "sh", "-euc", script])
        .current_dir(place.photos().parent().unwrap())
        .env("IMGSEARCH_INDEX", place.index_dir())
        .env("IMGSEARCH", env!("CARGO_BIN_EXE_imgsearch"));
    ran(command.output().unwrap()).ended(0);
    assert_eq!(stored(&place), 8);
    let events = fs::read_to_string(place.photos().with_file_name("events")).unwrap();
    assert!(!events.contains("\"outcome\":\"removed\""), "{events}");
}
