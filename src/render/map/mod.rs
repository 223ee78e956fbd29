//! A map in one HTML file, which needs nothing else.
//!
//! Owns the page, and how names and pictures get into it. The drawing itself is in `map.js`, `dots.js` and `pictures.js`,
//! which know nothing of the page around them, and which the page of `serve` shares. Names and paths are chosen by others: they are in a block of JSON that
//! cannot be left, and the page puts them into its elements as text only. Only its own script runs, and nothing is
//! fetched from outside.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::json;

use super::sheet::{escaped, file_url};
use super::thumbnail::jpeg;
use crate::decode::{DecodeError, Rgb};

/// The longer side of a picture on a map, in pixels.
pub const TILE: u32 = 88;

/// Pictures in a row, and rows, of one sheet.
pub const COLUMNS: usize = 24;

/// The quality of a sheet as JPEG.
const QUALITY: u8 = 72;

/// The drawing of a map for pages that have its data from elsewhere: names and contents of JavaScript modules, which import
/// each other by these names from one folder. `map.js` says what it needs.
pub const MODULES: [(&str, &str); 3] = [
    ("dots.js", include_str!("dots.js")),
    ("pictures.js", include_str!("pictures.js")),
    ("map.js", include_str!("map.js")),
];

/// The scripts, in an order in which each needs only those before it.
const SCRIPTS: [&str; 5] = [
    MODULES[0].1,
    MODULES[1].1,
    MODULES[2].1,
    include_str!("sheets.js"),
    include_str!("page.js"),
];

const STYLE: &str = include_str!("page.css");

const BODY: &str = include_str!("page.html");

/// A map to be drawn.
#[derive(Debug, Clone, Default)]
pub struct MapPage {
    /// The title of the page.
    pub title: String,
    /// A remark below it.
    pub note: String,
    /// The groups, which images refer to by their places.
    pub groups: Vec<MapGroup>,
    images: Images,
    sheets: Vec<String>,
    /// The images that have pictures, in the order of the pictures.
    order: Vec<u32>,
    /// Width and height of each picture.
    sizes: Vec<u8>,
}

/// A group on a map.
#[derive(Debug, Clone, Default, Serialize)]
pub struct MapGroup {
    /// Its name; empty if it has none.
    pub name: String,
    /// The number of its images.
    pub size: usize,
    /// When they were taken.
    pub dates: String,
    /// What else sets it apart.
    pub words: String,
    /// Where its name is written; nowhere without a place.
    pub place: Option<[f32; 2]>,
}

/// What is known of the images, in the same order everywhere.
#[derive(Debug, Clone, Default)]
struct Images {
    x: Vec<f32>,
    y: Vec<f32>,
    group: Vec<i32>,
    names: Vec<String>,
    folder: Vec<i32>,
    folders: Vec<Folder>,
}

#[derive(Debug, Clone, Serialize)]
struct Folder {
    shown: String,
    /// What a name is added to; empty if nothing can be.
    url: String,
}

impl MapPage {
    /// Adds an image at a place. `group` is its place in [`MapPage::groups`].
    pub fn add(&mut self, path: &Path, [x, y]: [f32; 2], group: Option<usize>) {
        let images = &mut self.images;
        images.x.push(x);
        images.y.push(y);
        let group = group.and_then(|group| i32::try_from(group).ok());
        images.group.push(group.unwrap_or(-1));
        let name = path.file_name().unwrap_or(path.as_os_str());
        images.names.push(name.to_string_lossy().into_owned());
        let folder = path.parent().unwrap_or(Path::new(""));
        let shown = folder.display().to_string();
        // Images come by folder: the last one is nearly always the same.
        if images.folders.last().is_none_or(|last| last.shown != shown) {
            let url = file_url(folder).map_or_else(String::new, |mut url| {
                if !url.ends_with('/') {
                    url.push('/');
                }
                url
            });
            images.folders.push(Folder { shown, url });
        }
        images.folder.push(images.folders.len() as i32 - 1);
    }

    /// Returns the number of images.
    pub fn len(&self) -> usize {
        self.images.x.len()
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds pictures of images, the more important ones first: at most [`COLUMNS`] squared at a time, none of them
    /// larger than [`TILE`]. All but the last time, there must be as many.
    ///
    /// # Errors
    ///
    /// If a picture is larger, or has another number of pixels than its size says.
    pub fn add_pictures(&mut self, pictures: &[(usize, Rgb)]) -> Result<(), DecodeError> {
        if pictures.is_empty() {
            return Ok(());
        }
        let tile = TILE as usize;
        let rows = pictures.len().div_ceil(COLUMNS);
        let (width, height) = (COLUMNS * tile, rows * tile);
        let mut sheet = Rgb {
            width: width as u32,
            height: height as u32,
            pixels: vec![128; width * height * 3],
        };
        for (place, (image, picture)) in pictures.iter().enumerate() {
            let (w, h) = (picture.width as usize, picture.height as usize);
            if w.max(h) > tile || place >= COLUMNS * COLUMNS || picture.pixels.len() != w * h * 3 {
                return Err(DecodeError::Malformed(format!(
                    "a picture of {w} by {h} pixels has no place on a map"
                )));
            }
            let (left, top) = (place % COLUMNS * tile, place / COLUMNS * tile);
            for (row, line) in picture.pixels.chunks_exact(w * 3).enumerate() {
                let start = ((top + row) * width + left) * 3;
                sheet.pixels[start..start + w * 3].copy_from_slice(line);
            }
            self.order.push(*image as u32);
            self.sizes.extend([w as u8, h as u8]);
        }
        self.sheets.push(STANDARD.encode(jpeg(&sheet, QUALITY)?));
        Ok(())
    }

    /// Returns the page.
    pub fn to_html(&self) -> String {
        let images = &self.images;
        let data = json!({
            "x": packed(images.x.iter().map(|x| x.to_le_bytes())),
            "y": packed(images.y.iter().map(|y| y.to_le_bytes())),
            "group": packed(images.group.iter().map(|group| group.to_le_bytes())),
            "folder": packed(images.folder.iter().map(|folder| folder.to_le_bytes())),
            "order": packed(self.order.iter().map(|image| image.to_le_bytes())),
            "sizes": STANDARD.encode(&self.sizes),
            "tile": TILE, "columns": COLUMNS,
            "names": images.names, "folders": images.folders, "groups": self.groups,
        });
        // No text can end the block that it is in.
        let data = data.to_string().replace('<', "\\u003c");
        let script = script();
        let nonce = blake3::hash(data.as_bytes()).to_hex();
        let title = escaped(&self.title);
        let body = BODY
            .replace("{{note}}", &escaped(&self.note))
            .replace("{{title}}", &title);
        let mut page = format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src \
             'unsafe-inline'; script-src 'nonce-{nonce}'\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <title>{title}</title>\n<style>\n{STYLE}</style></head>\n{body}"
        );
        for sheet in &self.sheets {
            page += "<script type=\"text/plain\" class=\"sheet\">";
            page += sheet;
            page += "</script>\n";
        }
        page + "<script type=\"application/json\" id=\"data\">"
            + &data
            + "</script>\n<script type=\"module\" nonce=\""
            + &nonce
            + "\">\n"
            + &script
            + "</script></body></html>\n"
    }
}

/// Returns the scripts as one, which needs no imports.
fn script() -> String {
    let lines = SCRIPTS.iter().flat_map(|script| script.lines());
    let lines = lines.filter(|line| !line.starts_with("import "));
    lines.fold(String::new(), |script, line| script + line + "\n")
}

/// Returns numbers in Base64.
fn packed(numbers: impl Iterator<Item = [u8; 4]>) -> String {
    STANDARD.encode(numbers.flatten().collect::<Vec<u8>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: u32, height: u32) -> Rgb {
        Rgb {
            width,
            height,
            pixels: vec![200; (width * height * 3) as usize],
        }
    }

    #[test]
    fn names_cannot_leave_their_place() {
        let mut page = MapPage {
            title: "</title><script>alert(1)</script>".to_owned(),
            note: "<note>".to_owned(),
            groups: vec![MapGroup {
                name: "</script><b>".to_owned(),
                words: "<!-- ".to_owned(),
                ..MapGroup::default()
            }],
            ..MapPage::default()
        };
        page.add(
            Path::new("/a</script>/<img src=x>.jpg"),
            [0.0, 1.0],
            Some(0),
        );
        page.add_pictures(&[(0, picture(88, 40))]).unwrap();
        assert_eq!((page.len(), page.is_empty()), (1, false));
        let html = page.to_html();
        for text in [
            "<script>alert",
            "</script><b>",
            "<img src=x",
            "<!-- ",
            "<note>",
        ] {
            assert!(!html.contains(text), "{text}");
        }
        assert!(html.contains("\\u003cimg src=x>.jpg"));
        // Three blocks of ours: a sheet, the data and the script.
        assert_eq!(html.matches("</script>").count(), 3);
        assert!(!html.contains("{{"), "a place that nothing was put into");
    }

    #[test]
    fn the_scripts_need_no_other_file() {
        let script = script();
        assert!(!script.contains("import "), "an import is left");
        assert!(script.contains("class CollectionMap"));
        for address in ["http:", "https:", "//cdn", "fetch("] {
            assert!(!script.contains(address), "{address}");
        }
    }

    #[test]
    fn pictures_that_do_not_fit_are_refused() {
        let mut page = MapPage::default();
        page.add(Path::new("/a.jpg"), [0.0, 0.0], None);
        assert!(page.add_pictures(&[(0, picture(89, 10))]).is_err());
        let mut broken = picture(10, 10);
        broken.pixels.pop();
        assert!(page.add_pictures(&[(0, broken)]).is_err());
        let many: Vec<(usize, Rgb)> = (0..=COLUMNS * COLUMNS)
            .map(|_| (0, picture(1, 1)))
            .collect();
        assert!(page.add_pictures(&many).is_err());
        assert!(page.add_pictures(&[]).is_ok());
    }

    #[test]
    fn a_folder_is_named_once() {
        let mut page = MapPage::default();
        for name in ["/a b/1.jpg", "/a b/2.jpg", "/c/3.jpg"] {
            page.add(Path::new(name), [0.0, 0.0], None);
        }
        assert_eq!(page.images.folder, [0, 0, 1]);
        assert_eq!(page.images.names, ["1.jpg", "2.jpg", "3.jpg"]);
        #[cfg(unix)]
        assert_eq!(page.images.folders[0].url, "file:///a%20b/");
    }
}
