//! trial
#![allow(missing_docs)]
use imgsearch_onnx::train::*;
use std::{fs, ops::ControlFlow, time::Instant};
use rayon::prelude::*;
fn f32s(p: &str) -> Vec<f32> { fs::read(p).unwrap().chunks_exact(4).map(|c| f32::from_le_bytes(c.try_into().unwrap())).collect() }
const D: usize = 1280;
fn load(name: &str) -> (Vec<Vec<f32>>, Vec<usize>) {
    let j: serde_json::Value = serde_json::from_slice(&fs::read(format!("/tmp/exp/features/{name}.json")).unwrap()).unwrap();
    let v = j["views"].as_u64().unwrap() as usize;
    ((0..=v).map(|v| f32s(&format!("/tmp/exp/features/{name}.{v}.f32"))).collect(), j["labels"].as_array().unwrap().iter().map(|x| x.as_u64().unwrap() as usize).collect())
}
fn map(n: usize, lab: &[usize], d: impl Fn(usize, usize) -> f32 + Sync) -> f64 {
    let (s, c) = (0..n).into_par_iter().map(|q| {
        let mut o: Vec<(f32, usize)> = (0..n).filter(|&x| x != q).map(|x| (d(q, x), x)).collect();
        o.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let (mut h, mut ap) = (0., 0.);
        for (r, (_, x)) in o.iter().enumerate() { if lab[*x] == lab[q] { h += 1.; ap += h / (r as f64 + 1.); } }
        if h > 0. { (ap / h, 1.) } else { (0., 0.) }
    }).reduce(|| (0., 0.), |a, b| (a.0 + b.0, a.1 + b.1));
    s / c
}
fn pick(x: &[f32], keep: &[bool]) -> Vec<f32> { x.chunks_exact(D).zip(keep).filter(|(_, k)| **k).flat_map(|(r, _)| r).copied().collect() }
fn l2(c: &[f32], k: usize, a: usize, b: usize) -> f32 { c[a*k..][..k].iter().zip(&c[b*k..][..k]).map(|(x, y)| (x - y) * (x - y)).sum() }
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let get = |k: &str, d: f64| args.iter().find_map(|a| a.strip_prefix(&format!("{k}=")).map(|v| v.parse().unwrap())).unwrap_or(d);
    let def = TrainOptions::default();
    let opt = TrainOptions { epochs: get("epochs", def.epochs as f64) as usize, learning_rate: get("lr", def.learning_rate), code_temperature: get("ts", def.code_temperature), feature_temperature: get("tt", def.feature_temperature), reconstruction_weight: get("rec", def.reconstruction_weight), contrast_weight: get("con", def.contrast_weight), batch: get("batch", def.batch as f64) as usize, seed: get("seed", 0.) as u64, bits: get("bits", 256.) as usize, ..def };
    let metric = args.iter().find_map(|a| a.strip_prefix("metric=")).map(|p| { let m = f32s(p); let w = m.len() / D; Metric::new(m, D, w).unwrap() });
    let mut what: Vec<&str> = args[1..].iter().map(String::as_str).filter(|a| !a.contains('=')).collect();
    if what.is_empty() { what = vec!["out2", "out0", "out1", "in"]; }
    for w in what {
        let (clean, views, test, lab): (Vec<f32>, Vec<Vec<f32>>, Vec<f32>, Vec<usize>);
        if w == "cifar" {
            let (mut x, _) = load("cifar_train"); let (t, l) = load("cifar_test");
            clean = x.remove(0); views = x; test = t[0].clone(); lab = l;
        } else {
            let (x, l) = load("objects");
            let mut seen = std::collections::HashMap::new();
            let te: Vec<bool> = if let Some(off) = w.strip_prefix("out") { let off: usize = off.parse().unwrap(); l.iter().map(|c| c % 3 == off).collect() }
                else { l.iter().map(|c| { let e = seen.entry(*c).or_insert(0); *e += 1; *e % 2 == 0 }).collect() };
            let tr: Vec<bool> = te.iter().map(|t| !t).collect();
            let mut sets: Vec<Vec<f32>> = x.iter().map(|x| pick(x, &tr)).collect();
            if w.starts_with("out") { for (s, p) in sets.iter_mut().zip(load("photos").0) { s.extend(p); } }
            test = pick(&x[0], &te); lab = l.iter().zip(&te).filter(|(_, t)| **t).map(|(l, _)| *l).collect();
            clean = sets.remove(0); views = sets;
        }
        let nv = (get("views", 9.) as usize).min(views.len());
        let set = TrainingSet { clean: &clean, views: views[..nv].iter().map(Vec::as_slice).collect(), d: D, metric: metric.clone() };
        let t = Instant::now(); let mut first = 0.0; let mut last = 0.0;
        let head = train_head(&set, &opt, &mut |r| { last = t.elapsed().as_secs_f64(); if r.epoch == 1 { first = last; } ControlFlow::Continue(()) }).unwrap();
        let secs = t.elapsed().as_secs_f64();
        let n = lab.len();
        let t = Instant::now(); let out = head.apply(&test, n); let ta = t.elapsed().as_secs_f64();
        let mut mean = vec![0f32; D]; for r in test.chunks_exact(D) { for (m, v) in mean.iter_mut().zip(r) { *m += v / n as f32; } }
        let f: Vec<f32> = test.chunks_exact(D).flat_map(|r| { let c: Vec<f32> = r.iter().zip(&mean).map(|(a, b)| a - b).collect(); let l = c.iter().map(|v| v * v).sum::<f32>().sqrt(); c.into_iter().map(move |v| v / l) }).collect();
        let fm = map(n, &lab, |a, b| l2(&f, D, a, b));
        let h = out.hashes(); let by = h.len() / n;
        let ham = |a: usize, b: usize| h[a*by..][..by].iter().zip(&h[b*by..][..by]).map(|(x, y)| (x ^ y).count_ones()).sum::<u32>() as f32;
        let k = head.code_len();
        let cm = map(n, &lab, |a, b| l2(&out.codes, k, a, b)); let hm = map(n, &lab, ham);
        let fu = map(n, &lab, |a, b| l2(&out.codes, k, a, b) + head.hash_weight() * ham(a, b) / opt.bits as f32);
        let t = Instant::now();
        let np = neighbourhood_preservation(&test, D, n, 10, |a, b| l2(&out.codes, k, a, b));
        let tn = t.elapsed().as_secs_f64();
        let mut d: Vec<&[u8]> = h.chunks_exact(by).collect(); d.sort(); d.dedup();
        println!("{w:5} n {} views {} feat {fm:.3} code {:.3} hash {:.3} fused {:.3} distinct {:.3} np {np:.3} | train {secs:.1}s (first epoch at {first:.1}, last {last:.1}) apply {ta:.2}s np {tn:.2}s", clean.len() / D, views.len(), cm / fm, hm / fm, fu / fm, d.len() as f64 / n as f64);
    }
}
