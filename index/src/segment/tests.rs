//! Segments and the graphs in them, by both builders.

use rand_core::{Rng, SeedableRng};
use rand_pcg::Pcg64Mcg;

use super::*;
use crate::graph::BuilderKind;
use crate::kernels::distance::l2_squared;
use crate::store::rows::Loaded;

/// Codes in clusters, as photographs have them.
fn clustered(n: usize, code_len: usize, clusters: usize, seed: u64) -> Vec<f32> {
    let mut random = Pcg64Mcg::seed_from_u64(seed);
    // The sum of four is near enough to a normal distribution.
    let mut normal = move || {
        (0..4)
            .map(|_| random.next_u32() as f32 / u32::MAX as f32 - 0.5)
            .sum::<f32>()
    };
    let centres: Vec<f32> = (0..clusters * code_len).map(|_| normal()).collect();
    (0..n)
        .flat_map(|i| {
            let start = i % clusters * code_len;
            let centre = &centres[start..start + code_len];
            centre
                .iter()
                .map(|c| c + 0.4 * normal())
                .collect::<Vec<_>>()
        })
        .collect()
}

fn encoder(code_len: usize) -> EncoderRecord {
    EncoderRecord {
        fingerprint: "0123456789abcdef".to_owned(),
        name: "test".to_owned(),
        code_len,
        bits: 64,
        hash_weight: 1.0,
        metadata: "{}".to_owned(),
    }
}

/// Rows numbered from 1, each with its number as its hash.
fn loaded(codes: &[f32], code_len: usize) -> Loaded {
    let mut loaded = Loaded::empty(&encoder(code_len));
    for (id, code) in (1..).zip(codes.chunks_exact(code_len)) {
        loaded.ids.push(id);
        loaded.codes.extend_from_slice(code);
        let whole = loaded.ids.len() * loaded.stride;
        loaded.codes.resize(whole, 0.0);
        loaded.hashes.push(id as u64);
    }
    loaded
}

fn options(builder: BuilderKind) -> GraphOptions {
    GraphOptions {
        builder,
        ..GraphOptions::default()
    }
}

fn built(codes: &[f32], code_len: usize, options: &GraphOptions) -> Segment {
    let loaded = loaded(codes, code_len);
    let content = Content {
        encoder: &encoder(code_len),
        rows: loaded.rows(),
    };
    let done = AtomicUsize::new(0);
    let segment = Segment::build(&content, options, &done).unwrap();
    assert_eq!(done.into_inner(), GRAPHS * segment.len());
    assert_eq!(segment.len(), codes.len() / code_len);
    segment
}

fn padded(code: &[f32]) -> Vec<f32> {
    let mut code = code.to_vec();
    code.resize(code.len().next_multiple_of(LANES), 0.0);
    code
}

/// The nearest rows by the graph: distances and rows.
fn found(segment: &Segment, code: &[f32], k: usize, ef: usize) -> Vec<(f32, u32)> {
    let mut rows = Vec::new();
    let code = padded(code);
    segment.candidates(&code, ef, &mut SearchScratch::default(), &mut rows);
    let mut found: Vec<(f32, u32)> = rows
        .into_iter()
        .map(|row| (l2_squared(&code, segment.rows().code(row as usize)), row))
        .collect();
    found.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    found.truncate(k);
    found
}

fn exact(codes: &[f32], code_len: usize, query: &[f32], k: usize) -> Vec<u32> {
    let mut all: Vec<(f32, u32)> = codes
        .chunks_exact(code_len)
        .zip(0..)
        .map(|(code, row)| (l2_squared(code, query), row))
        .collect();
    all.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    all.into_iter().take(k).map(|(_, row)| row).collect()
}

fn recall(codes: &[f32], code_len: usize, segment: &Segment, ef: usize) -> f64 {
    let queries = clustered(200, code_len, 20, 99);
    let mut hits = 0;
    for query in queries.chunks_exact(code_len) {
        let exact = exact(codes, code_len, query, 10);
        let found = found(segment, query, 10, ef);
        hits += found.iter().filter(|(_, row)| exact.contains(row)).count();
    }
    hits as f64 / 2000.0
}

#[test]
fn nearly_all_neighbours_are_found_and_a_narrow_view_finds_fewer() {
    let codes = clustered(5000, 30, 50, 1);
    for &builder in BuilderKind::ALL {
        let segment = built(&codes, 30, &options(builder));
        let (wide, narrow) = (
            recall(&codes, 30, &segment, 128),
            recall(&codes, 30, &segment, 1),
        );
        assert!(wide > 0.99, "{builder:?}: {wide}");
        assert!(narrow < wide, "{builder:?}: {narrow}");
    }
}

#[test]
fn every_row_is_found_by_its_own_code() {
    for (code_len, n) in [(30, 3000), (2, 500), (64, 700)] {
        let codes = clustered(n, code_len, 30, 3);
        for &builder in BuilderKind::ALL {
            let segment = built(&codes, code_len, &options(builder));
            for (row, code) in (0u32..).zip(codes.chunks_exact(code_len)) {
                assert_eq!(found(&segment, code, 1, 16), [(0.0, row)], "{builder:?}");
            }
        }
    }
}

#[test]
fn thousands_of_copies_cut_nothing_off() {
    let mut codes = clustered(1000, 8, 10, 5);
    let copy = codes[..8].to_vec();
    for _ in 0..3000 {
        codes.extend_from_slice(&copy);
    }
    // And thousands that only rounding tells apart.
    for i in 0..3000u16 {
        codes.extend(copy.iter().map(|c| c + f32::from(i) * 1e-7));
    }
    for &builder in BuilderKind::ALL {
        let segment = built(&codes, 8, &options(builder));
        assert!(segment.duplicates() >= 3000);
        for (row, code) in (0u32..).zip(codes.chunks_exact(8)).take(1000).skip(1) {
            assert_eq!(found(&segment, code, 1, 64)[0].1, row, "{builder:?}");
        }
        let copies = found(&segment, &copy, 50, 64);
        assert!(copies.iter().all(|&(distance, _)| distance == 0.0));
        assert!(copies.is_sorted_by_key(|&(_, row)| row), "ties go by row");
    }
}

#[test]
fn one_thread_makes_the_same_segment_every_time() {
    let codes = clustered(2000, 30, 20, 7);
    let options = GraphOptions {
        threads: 1,
        ..GraphOptions::default()
    };
    let first = built(&codes, 30, &options);
    let second = built(&codes, 30, &options);
    assert!(first.bytes.as_slice() == second.bytes.as_slice());
    let other = built(&codes, 30, &GraphOptions { seed: 1, ..options });
    assert!(first.bytes.as_slice() != other.bytes.as_slice());
}

#[test]
fn codes_with_an_outlier_are_walked_as_they_are() {
    let mut codes = clustered(2000, 30, 20, 17);
    codes[29] = 1e6;
    let segment = built(&codes, 30, &GraphOptions::default());
    assert_eq!(segment.header.byte_stride, 0);
    assert!(recall(&codes, 30, &segment, 128) > 0.99);
}

#[test]
fn few_rows_and_none() {
    for &builder in BuilderKind::ALL {
        let none = built(&[], 4, &options(builder));
        assert_eq!(found(&none, &[0.0; 4], 3, 10), []);
        let zeros = built(&[0.0; 8], 4, &options(builder));
        assert_eq!(found(&zeros, &[0.0; 4], 3, 10), [(0.0, 0), (0.0, 1)]);
        let few = clustered(7, 4, 2, 19);
        let segment = built(&few, 4, &options(builder));
        let rows: Vec<u32> = found(&segment, &few[..4], 100, 100)
            .into_iter()
            .map(|(_, row)| row)
            .collect();
        assert_eq!(rows, exact(&few, 4, &few[..4], 7));
    }
    for (width, ef_construction) in [(1, 100), (256, 100), (16, 0)] {
        let refused = Segment::build(
            &Content {
                encoder: &encoder(4),
                rows: loaded(&[0.0; 4], 4).rows(),
            },
            &GraphOptions {
                width,
                ef_construction,
                ..GraphOptions::default()
            },
            &AtomicUsize::new(0),
        );
        assert!(matches!(refused.unwrap_err(), Error::InvalidInput(_)));
    }
}

#[test]
fn a_file_holds_what_was_built() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("000001.segment");
    let codes = clustered(700, 30, 9, 2);
    let segment = built(&codes, 30, &GraphOptions::default());
    segment.write(&path).unwrap();
    let opened = Segment::open(&path, &Mark::default()).unwrap();
    assert!(opened.bytes.as_slice() == segment.bytes.as_slice());
    assert!(opened.fits(&encoder(30)) && !opened.fits(&encoder(31)));
    assert_eq!(opened.rows().ids, (1..=700).collect::<Vec<i64>>());
    assert_eq!(opened.rows().hash(6), [7]);
    assert_eq!(opened.rows().code(3), padded(&codes[90..120]));
    assert_eq!(
        std::fs::read_dir(dir.path()).unwrap().count(),
        1,
        "nothing is left aside"
    );
    let nowhere = segment.write(&dir.path().join("none/000001.segment"));
    assert!(matches!(nowhere.unwrap_err(), Error::Io { .. }));
}

#[test]
fn every_flipped_byte_and_every_cut_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("000001.segment");
    let segment = built(&clustered(40, 6, 3, 2), 6, &GraphOptions::default());
    segment.write(&path).unwrap();
    let whole = std::fs::read(&path).unwrap();
    let refused = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        match Segment::open(&path, &Mark::default()).unwrap_err() {
            Error::DamagedSegment { .. } => {}
            other => panic!("{other}"),
        }
    };
    for i in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[i] ^= 1 << (i % 8);
        refused(&flipped);
    }
    for length in (0..whole.len()).step_by(61) {
        refused(&whole[..length]);
    }
    refused(&[&whole[..], &[0]].concat());
    std::fs::write(&path, &whole).unwrap();
    Segment::open(&path, &Mark::default()).unwrap();
}

#[test]
fn a_newer_format_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("000001.segment");
    let segment = built(&clustered(40, 6, 3, 2), 6, &GraphOptions::default());
    segment.write(&path).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[8] = SEGMENT_FORMAT as u8 + 1;
    let end = format::HEADER - 8;
    let own = xxhash_rust::xxh3::xxh3_64(&bytes[..end]);
    bytes[end..end + 8].copy_from_slice(&own.to_le_bytes());
    std::fs::write(&path, bytes).unwrap();
    let error = Segment::open(&path, &Mark::default()).unwrap_err();
    assert!(
        matches!(
            error,
            Error::NewerSegment {
                found,
                known: SEGMENT_FORMAT,
                ..
            } if found == SEGMENT_FORMAT + 1
        ),
        "{error}"
    );
}

/// Whatever a large segment holds while its sections are still being checked, a search of it
/// comes to an end and stays within it.
#[test]
fn a_damaged_graph_is_walked_without_harm() {
    let codes = clustered(500, 30, 9, 2);
    let mut segment = built(&codes, 30, &GraphOptions::default());
    let mut random = Pcg64Mcg::seed_from_u64(1);
    for section in [
        Section::Links,
        Section::UpperLinks,
        Section::Uppers,
        Section::Offsets,
        Section::Duplicates,
        Section::Bytes,
    ] {
        let range = segment.header.range(section);
        for byte in &mut segment.bytes.as_mut_slice()[range] {
            if random.next_u32() % 3 == 0 {
                *byte = random.next_u32() as u8;
            }
        }
        for code in codes.chunks_exact(30).take(50) {
            let found = found(&segment, code, 10, 64);
            assert!(found.iter().all(|&(_, row)| row < 500));
        }
    }
}

/// Numbers that cannot be, under a header's checksum that is right: refused, whatever they promise.
#[test]
fn a_header_of_impossible_numbers_is_refused() {
    let path = Path::new("it");
    let codes = clustered(300, 6, 7, 23);
    let segment = built(&codes, 6, &GraphOptions::default());
    assert!(segment.header.counts.len() > 1, "{:?}", segment.header);
    let refused = |change: &dyn Fn(&mut Header)| {
        let mut header = segment.header.clone();
        change(&mut header);
        let mut bytes = segment.bytes.as_slice().to_vec();
        header.write(&mut bytes);
        let error = Header::read(&bytes, path).unwrap_err();
        assert!(matches!(error, Error::DamagedSegment { .. }), "{error}");
    };
    let links = Section::Links as usize;
    for length in [usize::MAX, usize::MAX - 3, usize::MAX / 2 + 1, 1 << 40] {
        refused(&|header| header.lengths[links] = length);
    }
    refused(&|header| header.lengths[links] -= 1);
    refused(&|header| header.rows = MAX_ROWS + 1);
    refused(&|header| header.counts[0] = 0);
    refused(&|header| header.counts.swap(0, 1));
    refused(&|header| header.counts.push(0));
    refused(&|header| header.stride = u32::MAX as usize);
}

#[test]
fn sealing_changes_nothing_of_a_sound_file() {
    let segment = built(&clustered(300, 6, 7, 23), 6, &GraphOptions::default());
    let whole = segment.bytes.as_slice();
    let mut sealed = whole.to_vec();
    sealed[format::HEADER - 1] ^= 1;
    sealed[184 + 8] ^= 1;
    seal(&mut sealed, true);
    assert!(sealed == whole);
}

/// Equal points that a damaged file chains under every node are met once, not once a node.
#[test]
fn twins_of_a_damaged_file_are_no_more_than_its_rows() {
    let codes = clustered(300, 6, 7, 23);
    let mut segment = built(&codes, 6, &GraphOptions::default());
    let range = segment.header.range(Section::Duplicates);
    let chained: Vec<u32> = (1..=300).collect();
    segment.bytes.as_mut_slice()[range].copy_from_slice(bytemuck::cast_slice(&chained));
    let mut rows = Vec::new();
    let query = padded(&codes[..6]);
    segment.candidates(&query, 300, &mut SearchScratch::default(), &mut rows);
    assert_eq!(rows.len(), 300);
}

/// As each format was first written: 300 images of six numbers, numbered from 1.
#[test]
fn every_frozen_segment_is_read_for_good() {
    let codes = clustered(300, 6, 7, 23);
    let frozen = |format: u32| {
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/format-{format}.segment"))
    };
    if std::env::var_os("FREEZE_FORMAT").is_some() {
        let options = GraphOptions {
            threads: 1,
            ..GraphOptions::default()
        };
        let now = built(&codes, 6, &options);
        now.write(&frozen(SEGMENT_FORMAT)).unwrap();
    }
    for format in 1..=SEGMENT_FORMAT {
        let segment = Segment::open(&frozen(format), &Mark::default()).unwrap();
        segment.verify().unwrap();
        assert!(segment.fits(&encoder(6)));
        assert_eq!(segment.has_fused_graph(), format > 1);
        assert_eq!(segment.rows().ids, (1..=300).collect::<Vec<i64>>());
        for (row, code) in (0u32..).zip(codes.chunks_exact(6)) {
            assert_eq!(segment.rows().code(row as usize), padded(code));
            assert_eq!(segment.rows().hash(row as usize), [u64::from(row) + 1]);
            assert_eq!(found(&segment, code, 1, 16), [(0.0, row)]);
            let mut rows = Vec::new();
            let hash = [u64::from(row) + 1];
            let code = padded(code);
            let query = FusedQuery {
                code: &code,
                hash: &hash,
                weights: None,
            };
            segment.fused_candidates(&query, 16, &mut SearchScratch::default(), &mut rows);
            assert_eq!(rows.first(), (format > 1).then_some(&row));
        }
    }
}

#[test]
fn a_name_that_is_not_ascii_is_cut_between_its_characters() {
    let codes = clustered(20, 4, 2, 1);
    let loaded = loaded(&codes, 4);
    let dir = tempfile::tempdir().unwrap();
    for name in [
        "ü".repeat(64),
        format!("x{}", "語".repeat(30)),
        "é".to_owned(),
    ] {
        let record = EncoderRecord {
            fingerprint: name,
            ..encoder(4)
        };
        let content = Content {
            encoder: &record,
            rows: loaded.rows(),
        };
        let options = options(BuilderKind::default());
        let segment = Segment::build(&content, &options, &AtomicUsize::new(0)).unwrap();
        let path = dir.path().join("segment");
        segment.write(&path).unwrap();
        let opened = Segment::open(&path, &Mark::default()).unwrap();
        assert!(opened.fits(&record) && !opened.fits(&encoder(4)));
    }
}

#[test]
fn building_is_given_up_before_each_graph_and_before_measuring() {
    let codes = clustered(500, 8, 4, 23);
    let loaded = loaded(&codes, 8);
    let content = Content {
        encoder: &encoder(8),
        rows: loaded.rows(),
    };
    let after = |asked: usize| {
        let (done, left) = (AtomicUsize::new(0), std::cell::Cell::new(asked));
        let goes_on = || {
            let goes_on = left.get() > 0;
            left.set(left.get().saturating_sub(1));
            goes_on
        };
        let options = GraphOptions::default();
        let built = Segment::build_while(&content, &options, &done, &goes_on).unwrap();
        (built.is_some(), done.into_inner())
    };
    // Whether there is a segment, and how many rows were linked by then.
    assert_eq!(after(0), (false, 0));
    assert_eq!(after(1), (false, 500));
    assert_eq!(after(2), (false, GRAPHS * 500));
    assert_eq!(after(3), (true, GRAPHS * 500));
}
