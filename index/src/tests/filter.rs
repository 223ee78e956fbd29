//! Filters against their meaning.

use super::*;

/// An index of 6,000 images, of which 1,000 are newer than the segment.
fn index(dir: &Path) -> Index {
    let mut writer = many(dir, 5000);
    fold(&mut writer, &FoldOptions::default());
    add(&mut writer, 5000..6000);
    Index::open(dir).unwrap()
}

/// Every strategy finds images that meet a filter and no others, as many as it can.
fn meets(index: &Index, filter: &Filter, expected: &dyn Fn(u64) -> bool) {
    let wanted: Vec<u64> = (0..6000).filter(|&i| expected(i)).collect();
    let searcher = index.searcher().unwrap();
    assert_eq!(
        searcher.select(filter).unwrap().len(),
        wanted.len(),
        "{filter:?}"
    );
    for k in [10, 7000] {
        for strategy in [
            SearchStrategy::Auto,
            SearchStrategy::Exact,
            SearchStrategy::Graph,
        ] {
            let params = SearchParams::new(k)
                .strategy(strategy)
                .filter(filter.clone());
            let code = code_of(9_999_999);
            let query = Query::new(&code);
            let found = index.search(&query, &params).unwrap();
            assert_eq!(found.len(), wanted.len().min(k), "{filter:?} {strategy:?}");
            assert!(found.iter().all(|found| expected(found.id.0 as u64 - 1)));
        }
    }
}

#[test]
fn filters_are_met_and_k_is_reached_where_it_can_be() {
    let dir = tempfile::tempdir().unwrap();
    let index = index(dir.path());
    let matches = |filter: &Filter, expected: &dyn Fn(u64) -> bool| meets(&index, filter, expected);
    matches(&Filter::default().under("/p/3"), &|i| i % 10 == 3);
    matches(&Filter::default().under("/p/3").under("/p/4"), &|i| {
        i % 10 == 3 || i % 10 == 4
    });
    matches(&Filter::default().under("/p/3/000003.png"), &|i| i == 3);
    matches(&Filter::default().under("/p/99"), &|_| false);
    matches(&Filter::default().formats(["png"]), &|i| i % 2 == 1);
    matches(
        &Filter::default().ids([ImageId(8), ImageId(5001), ImageId(99_999)]),
        &|i| i == 7 || i == 5000,
    );
    let globs = |glob: &str| Filter {
        globs: vec![glob.to_owned()],
        ..Filter::default()
    };
    matches(&globs("/p/*/00001?.png"), &|i| {
        (10..20).contains(&i) && i % 2 == 1
    });
    matches(
        &Filter {
            min_size: Some(100),
            max_size: Some(149),
            ..Filter::default()
        },
        &|i| (100..150).contains(&i),
    );
    assert!(
        recall(
            &index,
            &SearchParams::new(10).filter(Filter::default().formats(["png"]))
        ) > 0.97
    );
    let bad = index.searcher().unwrap().select(&globs("a[b")).unwrap_err();
    assert!(bad.to_string().contains("a[b"), "{bad}");
}

#[test]
fn a_moment_is_compared_with_the_clock_that_an_image_has() {
    let dir = tempfile::tempdir().unwrap();
    let index = index(dir.path());
    let matches = |filter: &Filter, expected: &dyn Fn(u64) -> bool| meets(&index, filter, expected);
    // Taken if the file says so, else changed.
    let when = |i: u64| {
        if i.is_multiple_of(3) {
            -(i as i64)
        } else {
            i as i64
        }
    };
    matches(
        &Filter {
            after: Some(Moment::utc(-20)),
            before: Some(Moment::utc(30)),
            ..Filter::default()
        },
        &|i| (-20..30).contains(&when(i)),
    );
    matches(
        &Filter {
            after: Some(Moment::utc(5990)),
            ..Filter::default()
        }
        .under("/p/1"),
        &|i| when(i) >= 5990 && i % 10 == 1,
    );
    // The two clocks are an hour apart: what a camera wrote is compared with the one, and the date of
    // a file with the other.
    let apart = |wall: i64, seconds: i64| Moment {
        wall,
        unix_ns: seconds * 1_000_000_000,
    };
    matches(
        &Filter {
            after: Some(apart(-1020, 2580)),
            before: Some(apart(-990, 2610)),
            ..Filter::default()
        },
        &|i| match when(i) {
            taken @ ..=0 => (-1020..-990).contains(&taken),
            changed => (2580..2610).contains(&changed),
        },
    );
    // A file's date of a fraction of a second is not rounded.
    matches(
        &Filter {
            before: Some(Moment {
                wall: -7000,
                unix_ns: 2_000_000_001,
            }),
            ..Filter::default()
        },
        &|i| i == 1 || i == 2,
    );
}
