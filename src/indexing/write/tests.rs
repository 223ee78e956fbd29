//! What failures leave of stored images.

use imgsearch_index::{EncoderRecord, KnownPath};

use super::super::plan::PreviousContent;
use super::*;
use crate::indexing::walk::Candidate;

const BEFORE: Digest = [1; 32];
const AFTER: Digest = [2; 32];

/// Returns what the index holds of a changed file that failed in a way, and of another file with the same
/// content.
fn after(kind: FailureKind) -> [Option<KnownPath>; 2] {
    let encoder = EncoderRecord {
        fingerprint: "0123456789abcdef".to_owned(),
        name: "test".to_owned(),
        code_len: 2,
        bits: 8,
        hash_weight: 1.0,
        metadata: "{}".to_owned(),
    };
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(dir.path(), &encoder).unwrap();
    let stat = |size| FileStat {
        size,
        ..FileStat::default()
    };
    let paths = ["/changed.png", "/new.png"].map(std::path::PathBuf::from);
    let stored = Change::Insert {
        path: paths[0].clone(),
        stat: stat(1),
        content: NewContent {
            digest: BEFORE,
            width: 1,
            height: 1,
            format: "png".to_owned(),
            taken: None,
            damage: None,
            labels: Vec::new(),
            code: vec![0.0; 2],
            hash: vec![0],
        },
    };
    writer.apply(&[stored]).unwrap();
    let before = PreviousContent {
        digest: BEFORE,
        away: false,
        same_date: false,
    };
    let before = [Some(before), None];
    let jobs = paths.iter().zip(before).map(|(path, before)| Job {
        candidate: Candidate {
            path: path.clone(),
            stat: stat(2),
        },
        before,
        failed_before: None,
    });
    let plan = Plan {
        jobs: jobs.collect(),
        unchanged: 0,
        failed_before: 0,
        touched: Vec::new(),
    };
    let mut summary = Summary::default();
    let options = IndexOptions::default();
    let walked = crate::indexing::walk::Walked::default();
    let mut evidence = Evidence::new(&writer.reader().unwrap(), &walked, Vec::new()).unwrap();
    let mut write = Write::new(
        &mut writer,
        &plan,
        &options,
        &mut evidence,
        &(),
        &mut summary,
    );
    let failed = JobResult::Failed {
        kind,
        reason: "because".to_owned(),
        digest: Some(AFTER),
    };
    // The result of the duplicate comes first and waits.
    write
        .receive(1, vec![JobResult::DuplicateOfPending { digest: AFTER }])
        .unwrap();
    write.receive(0, vec![failed]).unwrap();
    write.finish().unwrap();
    assert_eq!(summary.failed, 2);
    let reader = writer.reader().unwrap();
    paths.map(|path| reader.by_path(&path).unwrap())
}

#[test]
fn an_unread_or_untried_file_keeps_its_image_and_a_failed_one_loses_it() {
    for kind in [FailureKind::Deferred, FailureKind::Read] {
        let [changed, new] = after(kind);
        assert!(matches!(changed, Some(KnownPath::Image(image)) if image.digest == BEFORE));
        assert!(matches!(new, Some(KnownPath::Failed(failure)) if failure.kind == kind));
    }
    let limit = Duration::from_secs(1);
    for kind in [
        FailureKind::Limit,
        FailureKind::TimedOut { limit },
        FailureKind::Unsupported,
        FailureKind::Decode,
    ] {
        let known = after(kind);
        let all_failed = known
            .iter()
            .all(|known| matches!(known, Some(KnownPath::Failed(failure)) if failure.kind == kind));
        assert!(all_failed, "{known:?}");
    }
}
