//! Golden codes: the built-in encoder gives every machine the same codes for the samples.
//!
//! `golden.json` has the code and hash of each sample. They may differ slightly if a processor rounds differently
//! or libjpeg-turbo has another version: the cosine must be above [`MIN_COSINE`], and at most [`MAX_BITS`] of 256
//! bits may differ. After an intended change of the encoder, `UPDATE_GOLDEN=1 cargo test golden` rewrites the file.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::support::{Place, sample_names, samples};

const MIN_COSINE: f64 = 0.9995;
const MAX_BITS: u32 = 5;

#[test]
fn the_samples_have_the_golden_codes() {
    let place = Place::new();
    let names = sample_names();
    let paths: Vec<String> = names
        .iter()
        .map(|name| samples().join(name).to_str().unwrap().to_owned())
        .collect();
    let mut arguments = vec!["encode", "--json"];
    arguments.extend(paths.iter().map(String::as_str));
    let ran = place.run(&arguments).ended(0);
    let got: BTreeMap<&String, Value> = names.iter().zip(ran.json_lines()).collect();

    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/golden.json");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let kept: BTreeMap<_, _> = got
            .iter()
            .map(|(name, line)| {
                (
                    name,
                    serde_json::json!({"code": line["code"], "hash": line["hash"]}),
                )
            })
            .collect();
        let mut lines: Vec<String> = kept
            .iter()
            .map(|(name, line)| format!("{name:?}: {line}"))
            .collect();
        lines.sort();
        std::fs::write(&file, format!("{{\n{}\n}}\n", lines.join(",\n"))).unwrap();
        return;
    }
    let golden: BTreeMap<String, Value> =
        serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!(
        golden.keys().collect::<Vec<_>>(),
        names.iter().collect::<Vec<_>>()
    );
    for (name, line) in got {
        let golden = &golden[name];
        let cosine = dot(&line["code"], &golden["code"])
            / (dot(&line["code"], &line["code"]) * dot(&golden["code"], &golden["code"])).sqrt();
        assert!(cosine > MIN_COSINE, "{name}: {cosine}");
        let apart: u32 = bytes(&line["hash"])
            .zip(bytes(&golden["hash"]))
            .map(|(a, b)| (a ^ b).count_ones())
            .sum();
        assert!(apart <= MAX_BITS, "{name}: {apart} bits");
    }
}

fn dot(a: &Value, b: &Value) -> f64 {
    let numbers = |value: &Value| -> Vec<f64> {
        value
            .as_array()
            .unwrap()
            .iter()
            .map(|v| v.as_f64().unwrap())
            .collect()
    };
    numbers(a).iter().zip(numbers(b)).map(|(a, b)| a * b).sum()
}

fn bytes(hash: &Value) -> impl Iterator<Item = u8> {
    let text = hash.as_str().unwrap().to_owned();
    (0..text.len() / 2).map(move |i| u8::from_str_radix(&text[i * 2..i * 2 + 2], 16).unwrap())
}
