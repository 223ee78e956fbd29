//! Segments that are missing, damaged or left behind, and readers while they are made.

use super::*;

#[test]
fn a_missing_or_damaged_segment_costs_time_and_no_answer() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = many(dir.path(), 5000);
    fold(&mut writer, &FoldOptions::default());
    writer.apply(&[Change::Remove { id: ImageId(9) }]).unwrap();
    let answers = |index: &Index| {
        let asked: Vec<_> = (0..20)
            .map(|i| index.nearest(&code_of(i), 5).unwrap())
            .collect();
        asked
    };
    let expected = answers(&Index::open(dir.path()).unwrap());
    type Harm = fn(&Path);
    let harms: [(&str, Harm); 4] = [
        ("cannot open", |path| std::fs::remove_file(path).unwrap()),
        ("damaged", |path| std::fs::write(path, "").unwrap()),
        ("damaged", |path| {
            let mut bytes = std::fs::read(path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 4;
            std::fs::remove_file(path).unwrap();
            std::fs::write(path, bytes).unwrap();
        }),
        ("not the one that the index knows", |path| {
            // A sound segment, but another index's.
            let other = tempfile::tempdir().unwrap();
            let mut writer = many(other.path(), 4500);
            fold(&mut writer, &FoldOptions::default());
            let theirs = segment_files(other.path()).remove(0);
            std::fs::remove_file(path).unwrap();
            std::fs::copy(theirs, path).unwrap();
        }),
    ];
    for (told, harm) in harms {
        harm(&segment_files(dir.path())[0]);
        let index = Index::open(dir.path()).unwrap();
        assert_eq!(answers(&index), expected, "{told}");
        let view = index.searcher().unwrap();
        let [note @ Note::DamagedSegment { images, .. }] = view.notes() else {
            panic!("{:?}", view.notes());
        };
        assert!(note.to_string().contains(told) && *images > 0, "{note:?}");
        let checked = index.check(&mut going_on).unwrap();
        assert_eq!(checked.damaged.len(), 1, "{told}: {checked:?}");
        let folded = fold(&mut writer, &all());
        assert_eq!((folded.made, folded.replaced), (1, 1), "{told}");
        assert_eq!(answers(&index), expected, "{told}");
        assert!(index.searcher().unwrap().notes().is_empty());
        assert!(index.check(&mut going_on).unwrap().is_sound());
    }
}

#[test]
fn what_a_crash_leaves_of_a_folding_is_no_harm_and_goes() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = many(dir.path(), 5000);
    fold(&mut writer, &FoldOptions::default());
    let whole = segment_files(dir.path());
    // A temporary file, and one that was renamed and never named in the database.
    std::fs::write(dir.path().join("segments/000009.new"), "half").unwrap();
    std::fs::copy(&whole[0], dir.path().join("segments/000008.segment")).unwrap();
    let index = Index::open(dir.path()).unwrap();
    assert_eq!(index.len().unwrap(), 5000);
    fold(&mut writer, &FoldOptions::default());
    assert_eq!(segment_files(dir.path()), whole);
    // A folding that cannot write changes nothing.
    add(&mut writer, 5000..6000);
    let folder = dir.path().join("segments");
    let away = dir.path().join("away");
    std::fs::rename(&folder, &away).unwrap();
    std::fs::write(&folder, "in the way").unwrap();
    let error = writer.fold(&all(), &mut going_on).unwrap_err();
    assert!(error.to_string().contains("segments"), "{error}");
    std::fs::remove_file(&folder).unwrap();
    std::fs::rename(&away, &folder).unwrap();
    assert_eq!(segment_files(dir.path()), whole);
    assert_eq!(index.len().unwrap(), 6000);
    // One that is cancelled begins nothing.
    let stopped = writer
        .fold(&all(), &mut |_| ControlFlow::Break(()))
        .unwrap();
    assert!(stopped.interrupted && stopped.made == 0);
    assert_eq!(fold(&mut writer, &all()).images, 6000);
}

#[test]
fn readers_go_on_while_a_writer_folds() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = many(dir.path(), 300);
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let index = Index::open(dir.path()).unwrap();
                let mut seen = 0;
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    let searcher = index.searcher().unwrap();
                    assert!(searcher.len() >= seen, "images are only added");
                    assert!(searcher.notes().is_empty(), "{:?}", searcher.notes());
                    seen = searcher.len();
                    assert_eq!(ids(&searcher.nearest(&code_of(7), 1).unwrap()), [8]);
                }
            });
        }
        for i in 1..20 {
            add(&mut writer, i * 300..(i + 1) * 300);
            fold(&mut writer, &all());
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert_eq!(Index::open(dir.path()).unwrap().len().unwrap(), 6000);
}
