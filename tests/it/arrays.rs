//! `encode --npy`: arrays that hold what `encode --json` prints.

use std::fs;
use std::path::Path;

use crate::support::Place;

/// Returns the shape in the header of an array, and its data.
fn array(path: &Path, descr: &str) -> ((usize, usize), Vec<u8>) {
    let bytes = fs::read(path).unwrap();
    assert_eq!(bytes[..8], *b"\x93NUMPY\x01\x00");
    let length = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    assert_eq!((10 + length) % 64, 0);
    let header = std::str::from_utf8(&bytes[10..10 + length]).unwrap();
    assert!(
        header.contains(&format!("'descr': '{descr}', 'fortran_order': False")),
        "{header}"
    );
    let shape = header.split(['(', ')']).nth(1).unwrap();
    let shape: Vec<usize> = shape.split(", ").map(|n| n.parse().unwrap()).collect();
    ((shape[0], shape[1]), bytes[10 + length..].to_vec())
}

#[test]
fn arrays_hold_what_json_prints_in_the_order_of_the_names() {
    let place = Place::with(&["cat.jpg", "coffee.jpg", "coins.jpg"]);
    fs::write(place.photo("broken.jpg"), "no image").unwrap();
    let names = [
        "photos/coffee.jpg",
        "photos/broken.jpg",
        "photos/cat.jpg",
        "photos/coins.jpg",
    ];
    let printed = place
        .run(&[&["encode", "--json"], &names[..]].concat())
        .ended(1)
        .json_lines();
    let written = place
        .run(&[&["encode", "--npy", "all"], &names[..]].concat())
        .ended(1);
    assert!(written.stderr.contains("broken.jpg"), "{written:?}");
    assert!(written.stderr.contains("3 rows written"), "{written:?}");
    assert_eq!(written.stdout, "");
    let here = place.photos().with_file_name("all.codes.npy");
    let (shape, codes) = array(&here, "<f4");
    assert_eq!(shape, (3, 30));
    let codes: Vec<f32> = codes
        .chunks_exact(4)
        .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
        .collect();
    let (shape, hashes) = array(&here.with_file_name("all.hashes.npy"), "|u1");
    assert_eq!(shape, (3, 32));
    let images = fs::read_to_string(here.with_file_name("all.images.jsonl")).unwrap();
    let images: Vec<serde_json::Value> = images
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(printed.len(), 3);
    for (row, line) in printed.iter().enumerate() {
        assert_eq!(images[row]["path"], line["path"]);
        assert_eq!(images[row]["width"], line["width"]);
        let code: Vec<f32> = serde_json::from_value(line["code"].clone()).unwrap();
        assert_eq!(codes[row * 30..][..30], code);
        let hash: String = hashes[row * 32..][..32]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(line["hash"], hash);
    }
}

#[test]
fn old_arrays_stay_if_new_ones_cannot_be_written_and_none_is_left_half_done() {
    let place = Place::with(&["cat.jpg"]);
    place
        .run(&["encode", "--npy", "a", "photos/cat.jpg"])
        .ended(0);
    let here = place.photos().with_file_name("a.codes.npy");
    let before = fs::read(&here).unwrap();
    let refused = place
        .run(&["encode", "--npy", "no folder/a", "photos/cat.jpg"])
        .ended(2);
    assert!(refused.stderr.contains("no folder"), "{refused:?}");
    place
        .run(&["encode", "--npy", "a", "photos/none.jpg"])
        .ended(1);
    let (shape, data) = array(&here, "<f4");
    assert_eq!((shape, data.len()), ((0, 30), 0));
    assert_ne!(fs::read(&here).unwrap(), before);
    let names = fs::read_dir(here.parent().unwrap()).unwrap();
    let hidden = names.filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().starts_with('.')
    });
    assert_eq!(hidden.count(), 0);
}
