//! Stores codes and hashes that another program made, and searches them:
//!
//!     cargo run --release -p imgsearch-index --example own_codes -- INDEX

use std::path::PathBuf;

use imgsearch_index::{
    Change, EncoderRecord, FileStat, Index, NewContent, Query, RankBy, SearchParams, Writer,
    pack_bits,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args().nth(1).ok_or("usage: own_codes INDEX")?;
    let dir = PathBuf::from(dir);
    let encoder = EncoderRecord {
        // Names the function from images to codes: an index refuses the codes of another one.
        fingerprint: "0123456789abcdef".to_owned(),
        name: "two numbers and eight bits".to_owned(),
        code_len: 2,
        bits: 8,
        hash_weight: 1.0,
        metadata: "{}".to_owned(),
    };
    let mut writer = Writer::open(&dir, &encoder)?;
    let changes: Vec<Change> = (0..100u8)
        .map(|i| Change::Insert {
            path: PathBuf::from(format!("/photos/{i}.jpg")),
            stat: FileStat::default(),
            content: NewContent {
                digest: [i; 32],
                width: 640,
                height: 480,
                format: "jpeg".to_owned(),
                taken: None,
                damage: None,
                labels: Vec::new(),
                code: vec![f32::from(i), 0.0],
                hash: vec![i],
            },
        })
        .collect();
    writer.apply(&changes)?;

    let index = Index::open(&dir)?;
    let (code, logits) = ([41.7, 0.0], [-1.0, 2.0, -0.1, 0.5, -0.2, 0.9, -3.0, -1.0]);
    let hash = pack_bits(&logits);
    let query = Query::new(&code).hash(&hash).logits(&logits);
    for found in index.search(&query, &SearchParams::new(3).by(RankBy::Both))? {
        let image = index.image(found.id)?.ok_or("it was removed meanwhile")?;
        println!("{:.3}  {}", found.distance, image.path.display());
    }
    Ok(())
}
