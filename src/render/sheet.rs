//! Contact sheets: pages of pictures in one HTML file, which needs nothing else.
//!
//! Owns what such a page looks like and how names get into it. Names and paths are chosen by others, so every text is
//! escaped, and the page forbids scripts and anything from outside.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub use super::overlay::Overlay;
use super::overlay::switch;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

/// The longer side in pixels that suits the thumbnails of a sheet.
pub const LONGER_SIDE: u32 = 320;

const STYLE: &str = include_str!("sheet.css");

/// A page of pictures.
///
/// # Examples
///
/// ```
/// use imgsearch::render::sheet::{Group, Item, Sheet};
///
/// let mut item = Item::at("/photos/a<b>.jpg".as_ref());
/// item.rank = Some(1);
/// let page = Sheet {
///     title: "cat.jpg".to_owned(),
///     groups: vec![Group {
///         items: vec![item],
///         ..Group::default()
///     }],
/// };
/// assert!(page.to_html().contains("a&lt;b&gt;.jpg"));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Sheet {
    /// The title of the page.
    pub title: String,
    /// The sections, such as one for each question.
    pub groups: Vec<Group>,
}

/// A section of a sheet.
#[derive(Debug, Clone, Default)]
pub struct Group {
    /// The heading. Without one, the section has no name.
    pub heading: String,
    /// A remark below the heading.
    pub note: String,
    /// What was asked: pictures above all others.
    pub asked: Vec<Item>,
    /// The pictures.
    pub items: Vec<Item>,
    /// The one of `items` that others can be laid on.
    pub under: Option<usize>,
}

/// A picture and what is known about it.
#[derive(Debug, Clone)]
pub struct Item {
    /// The picture.
    pub picture: Picture,
    /// Its place among the results, from 1 up.
    pub rank: Option<usize>,
    /// How near it is, such as `97 %`.
    pub nearness: String,
    /// Its name.
    pub name: String,
    /// The folder that it is in, as a person reads it.
    pub folder: String,
    /// The file that a click opens.
    pub file: Option<PathBuf>,
    /// More about it, a line each: date, size, labels.
    pub facts: Vec<String>,
    /// How it can be laid on [`Group::under`].
    pub overlay: Option<Overlay>,
}

/// What an item looks like.
#[derive(Debug, Clone)]
pub enum Picture {
    /// A JPEG file.
    Jpeg(Vec<u8>),
    /// The reason why there is no picture.
    Missing(String),
    /// Words in place of a picture.
    Words(String),
}

impl Item {
    /// Returns the item of a file that has no picture yet.
    pub fn at(path: &Path) -> Self {
        let name = path.file_name().unwrap_or(path.as_os_str());
        let folder = path.parent().filter(|_| path.file_name().is_some());
        Self {
            picture: Picture::Missing(String::new()),
            rank: None,
            nearness: String::new(),
            name: name.to_string_lossy().into_owned(),
            folder: folder.map_or_else(String::new, |folder| folder.display().to_string()),
            file: Some(path.to_owned()),
            facts: Vec::new(),
            overlay: None,
        }
    }

    /// Returns an item of words.
    pub fn words(words: &str) -> Self {
        Self {
            picture: Picture::Words(words.to_owned()),
            rank: None,
            nearness: String::new(),
            name: String::new(),
            folder: String::new(),
            file: None,
            facts: Vec::new(),
            overlay: None,
        }
    }

    fn write(&self, page: &mut String) {
        let link = self.file.as_deref().and_then(file_url);
        let link = link.map(|url| format!(" href=\"{}\"", escaped(&url)));
        page.push_str("<li>");
        self.write_tile(page, link.as_deref());
        if self.rank.is_some() || !self.nearness.is_empty() {
            let rank = self.rank.map_or_else(String::new, |rank| rank.to_string());
            let nearness = escaped(&self.nearness);
            *page += &format!("<p class=\"rank\"><b>{rank}</b><span>{nearness}</span></p>");
        }
        let name = escaped(&self.name);
        match &link {
            _ if name.is_empty() => {}
            Some(link) => *page += &format!("<p class=\"name\"><a{link}>{name}</a></p>"),
            None => *page += &format!("<p class=\"name\">{name}</p>"),
        }
        write_line(page, "folder", &self.folder);
        for fact in &self.facts {
            write_line(page, "facts", fact);
        }
        page.push_str("</li>\n");
    }

    fn write_tile(&self, page: &mut String, link: Option<&str>) {
        let (kind, inside) = match &self.picture {
            Picture::Jpeg(file) => (
                "tile",
                format!(
                    "<img alt=\"{}\" src=\"data:image/jpeg;base64,{}\">",
                    escaped(&self.name),
                    STANDARD.encode(file)
                ),
            ),
            Picture::Missing(reason) => ("tile", format!("<span>{}</span>", escaped(reason))),
            Picture::Words(words) => ("tile words", format!("<span>{}</span>", escaped(words))),
        };
        let inside = match (&self.picture, &self.overlay) {
            (Picture::Jpeg(_), Some(overlay)) => overlay.start() + &inside + "</span>",
            _ => inside,
        };
        *page += &match link {
            Some(link) => format!("<a class=\"{kind}\"{link}>{inside}</a>"),
            None => format!("<div class=\"{kind}\">{inside}</div>"),
        };
    }
}

impl Sheet {
    /// Returns the page.
    pub fn to_html(&self) -> String {
        let title = escaped(&self.title);
        let mut page = format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <title>{title}</title>\n<style>\n{STYLE}</style></head>\n<body><h1>{title}</h1>\n"
        );
        for (number, group) in self.groups.iter().enumerate() {
            let (style, input) = switch(group, number).unwrap_or_default();
            page += &format!("<section{style}>");
            if !group.heading.is_empty() {
                // Writing to a string never fails.
                let _ = writeln!(page, "<h2>{}</h2>", escaped(&group.heading));
            }
            write_line(&mut page, "note", &group.note);
            page += &input;
            for (tag, items) in [("ul class=\"asked\"", &group.asked), ("ol", &group.items)] {
                if !items.is_empty() {
                    let _ = writeln!(page, "<{tag}>");
                    items.iter().for_each(|item| item.write(&mut page));
                    let _ = writeln!(page, "</{}>", &tag[..2]);
                }
            }
            page.push_str("</section>\n");
        }
        page + "<footer>Made by imgsearch "
            + env!("CARGO_PKG_VERSION")
            + ".</footer></body></html>\n"
    }
}

/// Writes a paragraph, if there is anything in it.
fn write_line(page: &mut String, class: &str, text: &str) {
    if !text.is_empty() {
        *page += &format!("<p class=\"{class}\">{}</p>", escaped(text));
    }
}

/// Returns a text as HTML shows it, in an element or in a quoted attribute.
pub fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            // HTML has no control characters, and a name with one should be seen to have it.
            c if c.is_control() => safe.extend(c.escape_default()),
            c => safe.push(c),
        }
    }
    safe
}

/// Returns the URL of an absolute path, `None` for a relative one.
pub fn file_url(path: &Path) -> Option<String> {
    if !path.is_absolute() {
        return None;
    }
    #[cfg(not(windows))]
    let (start, path) = ("file://", path.as_os_str().as_encoded_bytes().to_vec());
    #[cfg(windows)]
    let (start, path) = windows_url(&path.to_string_lossy());
    Some(format!("{start}{}", percent_encode(&path, &UNSAFE)))
}

/// The bytes that are escaped in the path of a URL.
const UNSAFE: AsciiSet = {
    let set = NON_ALPHANUMERIC
        .remove(b'/')
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');
    // The colon of a drive.
    if cfg!(windows) { set.remove(b':') } else { set }
};

/// Returns the beginning of a URL, and the path that follows: `C:\a` is `file:///C:/a`, `\\server\a` is
/// `file://server/a`.
#[cfg(any(windows, test))]
fn windows_url(path: &str) -> (&'static str, Vec<u8>) {
    let path = path.strip_prefix(r"\\?\").unwrap_or(path);
    let slashes = path.replace('\\', "/");
    match slashes.strip_prefix("UNC/").or(slashes.strip_prefix("//")) {
        Some(share) => ("file://", share.as_bytes().to_vec()),
        None => ("file:///", slashes.into_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_place() {
        let mut item = Item::at(Path::new("/a<b>&\"c/d'e\n.jpg"));
        item.picture = Picture::Jpeg(vec![1, 2, 3]);
        item.nearness = "<97 %>".to_owned();
        item.facts = vec!["<fact>".to_owned()];
        let words = Item::words("<words>");
        let page = Sheet {
            title: "</title><script>".to_owned(),
            groups: vec![Group {
                heading: "<heading>".to_owned(),
                note: "<note>".to_owned(),
                asked: vec![words],
                items: vec![item],
                under: None,
            }],
        }
        .to_html();
        for text in [
            "a<b>",
            "<script",
            "<heading>",
            "<note>",
            "<97",
            "<fact>",
            "<words>",
        ] {
            assert!(!page.contains(text), "{text}: {page}");
        }
        assert!(page.contains("alt=\"d&#39;e\\n.jpg\" src=\"data:image/jpeg;base64,AQID\""));
        assert!(page.contains("&lt;/title&gt;&lt;script&gt;"));
        assert!(page.contains("<p class=\"folder\">/a&lt;b&gt;&amp;&quot;c</p>"));
    }

    #[cfg(unix)]
    #[test]
    fn a_path_becomes_a_url() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt as _;
        let url = |path: &[u8]| file_url(Path::new(OsStr::from_bytes(path)));
        assert_eq!(url(b"/a/b-1_2.jpg").unwrap(), "file:///a/b-1_2.jpg");
        assert_eq!(
            url(b"/a b/100%?#\"<.jpg").unwrap(),
            "file:///a%20b/100%25%3F%23%22%3C.jpg"
        );
        assert_eq!(url("/ü".as_bytes()).unwrap(), "file:///%C3%BC");
        assert_eq!(url(b"/caf\xe9").unwrap(), "file:///caf%E9");
        assert_eq!(url(b"a/b"), None);
    }

    #[test]
    fn drives_and_shares_become_urls() {
        let of = |path: &str| {
            let (start, path) = windows_url(path);
            start.to_owned() + &String::from_utf8(path).unwrap()
        };
        assert_eq!(of(r"C:\a\b.jpg"), "file:///C:/a/b.jpg");
        assert_eq!(of(r"\\?\C:\a"), "file:///C:/a");
        assert_eq!(of(r"\\server\share\a"), "file://server/share/a");
        assert_eq!(of(r"\\?\UNC\server\share"), "file://server/share");
    }
}
