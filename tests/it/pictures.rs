//! Pictures of what was found: drawn in a terminal, and on a page.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::{Rgb, RgbImage};

use crate::support::{Place, Ran, ran, sample};

/// Creates an index of a red image, which is twice as wide as high, and a blue one, and asks with the red one.
fn two_colours() -> Place {
    let place = Place::new();
    for (name, colour) in [("red.png", [220, 20, 30]), ("blue.png", [20, 40, 210])] {
        let image = RgbImage::from_pixel(200, 100, Rgb(colour));
        image.save(place.photo(name)).unwrap();
    }
    place.index();
    place
}

fn drawn(place: &Place, way: &str) -> Ran {
    let output = place
        .command()
        .args(["query", "photos/red.png", "--show-as", way])
        .env("COLUMNS", "80")
        .env("COLORTERM", "truecolor")
        .output()
        .unwrap();
    ran(output).ended(0)
}

fn is_near(colour: [u8; 3], wanted: [u8; 3]) -> bool {
    colour.iter().zip(wanted).all(|(a, b)| a.abs_diff(b) <= 12)
}

/// Fails unless a row of the grid shows red at `red` and blue at `blue`, in pixels.
#[track_caller]
fn shows_both(pixel: impl Fn(u32, u32) -> [u8; 3], red: (u32, u32), blue: (u32, u32)) {
    let (left, right) = (pixel(red.0, red.1), pixel(blue.0, blue.1));
    assert!(is_near(left, [220, 20, 30]), "{left:?}");
    assert!(is_near(right, [20, 40, 210]), "{right:?}");
}

/// Returns the captions below a row of pictures.
fn captions(drawn: &str) -> Vec<&str> {
    let after = drawn.rsplit('\r').next().unwrap();
    after.lines().collect()
}

/// Fails unless the captions name both images.
#[track_caller]
fn names_both(captions: &[&str]) {
    assert!(
        captions[0].starts_with("1  100 %            2  "),
        "{captions:?}"
    );
    assert_eq!(captions[1], "photos/red.png      photos/blue.png");
}

#[test]
fn kitty_and_iterm2_get_a_row_of_pictures_as_a_png() {
    let place = two_colours();
    let kitty = drawn(&place, "kitty").stdout;
    let mut data = String::new();
    for sequence in kitty.split("\x1b_G").skip(1) {
        let sequence = sequence.split_once("\x1b\\").unwrap().0;
        data += sequence.split_once(';').unwrap().1;
    }
    // 5 lines of 20 pixels, and 18 of 10 for each picture.
    assert!(kitty.contains("c=38,r=5,"), "{}", &kitty[..80]);
    let iterm2 = drawn(&place, "iterm2").stdout;
    let start = iterm2
        .split_once("\x1b]1337;File=inline=1;size=")
        .unwrap()
        .1;
    assert!(start.contains(";width=38;height=5;"), "{}", &start[..80]);
    let other = start
        .split_once(':')
        .unwrap()
        .1
        .split_once('\x07')
        .unwrap()
        .0;
    for (drawn, data) in [(&kitty, data.as_str()), (&iterm2, other)] {
        let strip = image::load_from_memory(&STANDARD.decode(data).unwrap()).unwrap();
        let strip = strip.to_rgba8();
        assert_eq!(strip.dimensions(), (380, 100));
        let pixel = |x, y| {
            let [red, green, blue, alpha] = strip.get_pixel(x, y).0;
            assert_eq!(alpha, 255);
            [red, green, blue]
        };
        shows_both(pixel, (90, 60), (290, 60));
        // Between the pictures and above them is the terminal.
        assert_eq!(
            (strip.get_pixel(190, 60)[3], strip.get_pixel(90, 5)[3]),
            (0, 0)
        );
        names_both(&captions(drawn));
    }
}

/// Reads the pixels of a picture in Sixel.
fn sixel(drawn: &str) -> RgbImage {
    let (header, data) = drawn
        .split_once("\x1bP0;1;0q\"1;1;")
        .unwrap()
        .1
        .split_once('#')
        .unwrap();
    let (width, height) = header.split_once(';').unwrap();
    let mut image = RgbImage::new(width.parse().unwrap(), height.parse().unwrap());
    let data = data.split_once("\x1b\\").unwrap().0;
    let mut palette = vec![[0_u8; 3]; 256];
    let (mut colour, mut x, mut band) = (0, 0, 0);
    let mut rest = data.chars().peekable();
    let mut command = '#';
    loop {
        let mut numbers = vec![String::new()];
        while let Some(c) = rest.next_if(|c| c.is_ascii_digit() || *c == ';') {
            match c {
                ';' => numbers.push(String::new()),
                digit => numbers.last_mut().unwrap().push(digit),
            }
        }
        let numbers: Vec<usize> = numbers.iter().filter_map(|n| n.parse().ok()).collect();
        match (command, &numbers[..]) {
            ('#', [index, 2, levels @ ..]) => {
                let level = |i: usize| (levels[i] * 255 / 100) as u8;
                palette[*index] = [level(0), level(1), level(2)];
            }
            ('#', [index]) => colour = *index,
            ('$', []) => x = 0,
            ('-', []) => (x, band) = (0, band + 1),
            (sixel, count) => {
                let (sixel, count) = match (sixel, count) {
                    ('!', [count]) => (rest.next().unwrap(), *count),
                    (sixel, _) => (sixel, 1),
                };
                for y in (0..6).filter(|y| (sixel as u32 - 63) >> y & 1 == 1) {
                    for x in x..x + count {
                        image.put_pixel(x as u32, band * 6 + y, Rgb(palette[colour]));
                    }
                }
                x += count;
            }
        }
        match rest.next() {
            Some(next) => command = next,
            None => return image,
        }
    }
}

#[test]
fn sixel_has_the_colours_of_the_pictures() {
    let place = two_colours();
    let drawn = drawn(&place, "sixel").stdout;
    let strip = sixel(&drawn);
    assert_eq!(strip.dimensions(), (380, 100));
    shows_both(|x, y| strip.get_pixel(x, y).0, (90, 60), (290, 60));
    assert_eq!(strip.get_pixel(190, 60).0, [0; 3]);
    names_both(&captions(&drawn));
}

/// Returns the colours of a line of half blocks: above and below, `None` where the terminal is seen.
fn half_blocks(line: &str) -> Vec<[Option<[u8; 3]>; 2]> {
    let mut colours = [None, None];
    let mut pixels = Vec::new();
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        match c {
            '\x1b' => {
                let style: String = rest.by_ref().skip(1).take_while(|c| *c != 'm').collect();
                let mut numbers = style.split(';').map(|n| n.parse::<u8>().unwrap());
                while let Some(number) = numbers.next() {
                    let place = usize::from(number >= 48);
                    match number {
                        38 | 48 => {
                            assert_eq!(numbers.next(), Some(2));
                            let mut level = || numbers.next().unwrap();
                            colours[place] = Some([level(), level(), level()]);
                        }
                        39 | 49 => colours[place] = None,
                        _ => colours = [None, None],
                    }
                }
            }
            '▀' => pixels.push(colours),
            '▄' => pixels.push([None, colours[0]]),
            _ => pixels.push([None, None]),
        }
    }
    pixels
}

#[test]
fn half_blocks_show_two_pixels_a_character() {
    let place = two_colours();
    let drawn = drawn(&place, "blocks").stdout;
    let lines: Vec<&str> = drawn.lines().collect();
    // 25 characters a picture, and half as many pixels high: 13 of them take 7 lines.
    assert_eq!(lines.len(), 7 + 3, "{drawn}");
    let rows: Vec<_> = lines[..7].iter().map(|line| half_blocks(line)).collect();
    let pixel = |x: u32, y: u32| rows[y as usize / 2][x as usize][y as usize % 2].unwrap();
    shows_both(pixel, (12, 7), (39, 7));
    assert_eq!((rows[3][25], rows[0][12][0]), ([None, None], None));
    assert!(lines[7].starts_with("1  100 %"), "{drawn}");
    assert!(lines[8].starts_with("photos/red.png"), "{drawn}");
}

#[test]
fn into_a_pipe_show_prints_lines_and_says_so_once() {
    let place = two_colours();
    let plain = place
        .run(&["query", "photos/red.png", "photos/blue.png"])
        .ended(0);
    let shown = place
        .run(&["query", "photos/red.png", "photos/blue.png", "--show"])
        .ended(0);
    assert_eq!(shown.stdout, plain.stdout);
    assert_eq!(
        shown.stderr.matches("these are lines").count(),
        1,
        "{}",
        shown.stderr
    );
    let quiet = place
        .run(&["query", "photos/red.png", "--show", "-q"])
        .ended(0);
    assert_eq!(quiet.stderr, "");
    // A terminal that is too narrow.
    let narrow = place
        .command()
        .args(["query", "photos/red.png", "--show-as", "blocks"])
        .env("COLUMNS", "7")
        .output()
        .unwrap();
    let narrow = ran(narrow).ended(0);
    assert!(
        narrow.stdout.starts_with("1  100 %  photos/red.png\n"),
        "{}",
        narrow.stdout
    );
    assert!(
        narrow.stderr.contains("fewer than 8 columns"),
        "{}",
        narrow.stderr
    );
}

#[test]
fn an_image_that_is_gone_has_its_place_and_its_name() {
    let place = two_colours();
    std::fs::remove_file(place.photo("blue.png")).unwrap();
    let shown = place
        .run(&["query", "photos/red.png", "--show-as", "iterm2"])
        .ended(1);
    names_both(&captions(&shown.stdout));
    assert!(shown.stderr.contains("photos/blue.png"), "{}", shown.stderr);
    std::fs::write(place.photo("blue.png"), "a text").unwrap();
    let page = place
        .run(&[
            "query",
            "photos/red.png",
            "--show-as",
            "blocks",
            "--html",
            "page.html",
        ])
        .ended(1);
    assert_eq!(
        page.stderr.matches("blue.png").count(),
        1,
        "{}",
        page.stderr
    );
    let html = std::fs::read_to_string(place.photos().with_file_name("page.html")).unwrap();
    assert!(
        html.contains("blue.png") && html.contains("not an image"),
        "{html}"
    );
}

/// Returns the pictures of a page.
fn pictures(html: &str) -> Vec<RgbImage> {
    let files = html.split("data:image/jpeg;base64,").skip(1);
    files
        .map(|file| {
            let data = file.split_once('"').unwrap().0;
            let file = STANDARD.decode(data).unwrap();
            image::load_from_memory(&file).unwrap().to_rgb8()
        })
        .collect()
}

#[test]
fn a_page_has_every_result_and_the_question() {
    let names = ["cat.jpg", "cat-face.jpg", "coffee.jpg", "rocket.jpg"];
    let place = Place::with(&names);
    place.index();
    let lines = place.run(&["query", "photos/cat.jpg"]).ended(0);
    let written = place
        .run(&["query", "photos/cat.jpg", "--html", "page.html"])
        .ended(0);
    assert_eq!(written.stdout, lines.stdout);
    assert!(
        written.stderr.contains("wrote page.html"),
        "{}",
        written.stderr
    );
    let html = std::fs::read_to_string(place.photos().with_file_name("page.html")).unwrap();
    let small = pictures(&html);
    assert_eq!(small.len(), 5, "the question and four results");
    assert!(
        small
            .iter()
            .all(|image| image.width().max(image.height()) <= 320)
    );
    assert_eq!(small[0], small[1], "the image itself comes first");
    let original = image::open(sample("cat.jpg")).unwrap();
    let shape = |width: u32, height: u32| f64::from(width) / f64::from(height);
    let difference =
        shape(small[0].width(), small[0].height()) - shape(original.width(), original.height());
    assert!(difference.abs() < 0.02, "{difference}");
    for name in names {
        let path = std::fs::canonicalize(place.photo(name)).unwrap();
        let link = format!("href=\"file://{}\"", path.display());
        assert!(html.contains(&link), "{link}");
    }
    assert!(html.contains("<b>1</b><span>100 %</span>"));
    assert!(html.contains("<title>photos/cat.jpg</title>"));
    assert!(html.contains(&format!("{} × {}", original.width(), original.height())));
    // Words, a mixture and standard output.
    let words = place
        .run(&["query", "coffee", "--html", "-"])
        .ended(0)
        .stdout;
    assert!(words.starts_with("<!doctype html>") && words.ends_with("</html>\n"));
    assert!(words.contains("<span>coffee</span>"));
    let mixture = place
        .run(&[
            "query",
            "photos/cat.jpg",
            "--less",
            "photos/coffee.jpg",
            "--html",
            "-",
        ])
        .ended(0)
        .stdout;
    assert!(mixture.contains("less, weight 0.2"));
    let two = place
        .run(&[
            "query",
            "photos/cat.jpg",
            "photos/rocket.jpg",
            "--html",
            "-",
            "-k",
            "1",
        ])
        .ended(0)
        .stdout;
    assert_eq!(
        (two.matches("<section>").count(), pictures(&two).len()),
        (2, 4)
    );
    let part = place
        .run(&[
            "query",
            "photos/cat.jpg",
            "--crop",
            "0,0,100,50",
            "--html",
            "-",
            "-k",
            "1",
        ])
        .ended(0)
        .stdout;
    assert_eq!(pictures(&part)[0].dimensions(), (100, 50));
}

#[cfg(unix)]
#[test]
fn names_on_a_page_are_only_names() {
    let place = Place::new();
    std::fs::copy(sample("cat.jpg"), place.photo("a<b>&\"c.jpg")).unwrap();
    place.index();
    let html = place
        .run(&["query", "photos/a<b>&\"c.jpg", "--html", "-"])
        .ended(0)
        .stdout;
    assert!(!html.contains("a<b>"), "{html}");
    assert!(html.contains("alt=\"a&lt;b&gt;&amp;&quot;c.jpg\""));
    assert!(html.contains("/a%3Cb%3E%26%22c.jpg\""));
    assert_eq!(pictures(&html).len(), 2);
}

#[test]
fn what_cannot_be_written_or_does_not_go_together_is_an_error() {
    let place = two_colours();
    let refused = |options: &[&str], text: &str| {
        let ran = place
            .run(&[&["query", "photos/red.png"], options].concat())
            .ended(2);
        assert!(ran.stderr.contains(text), "{options:?}: {}", ran.stderr);
        assert_eq!(ran.stdout, "");
    };
    refused(
        &["--html", "nowhere/page.html"],
        "there is no folder nowhere",
    );
    refused(&["--html", "photos"], "it is a folder");
    refused(&["--show", "--json"], "cannot be used with");
    refused(&["--show", "--paths"], "cannot be used with");
    refused(&["--show-as", "sixel", "-0"], "cannot be used with");
    refused(&["--html", "-", "--json"], "fills standard output");
    refused(&["--html", "-", "--open"], "fills standard output");
    #[cfg(unix)]
    refused(&["--html", "/dev/null"], "not an ordinary file");
    // The old page stays if there is nothing to replace it.
    let page = place.photos().with_file_name("page.html");
    std::fs::write(&page, "old").unwrap();
    refused(
        &["--html", "page.html", "--under", "nowhere", "--by", "none"],
        "invalid value",
    );
    place
        .run(&["query", "photos/gone.png", "--html", "page.html"])
        .ended(2);
    assert_eq!(std::fs::read_to_string(&page).unwrap(), "old");
    place
        .run(&["query", "photos/red.png", "--html", "page.html"])
        .ended(0);
    assert_eq!(pictures(&std::fs::read_to_string(&page).unwrap()).len(), 3);
    assert!(!Path::new("page.html.new").exists());
}

/// A program for files is looked for in PATH on these systems.
#[cfg(target_os = "linux")]
#[test]
fn a_page_is_opened_or_named() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = two_colours();
    let programs = tempfile::tempdir().unwrap();
    let open = |options: &[&str]| {
        let mut command = place.command();
        command.args([&["query", "photos/red.png", "--open"], options].concat());
        command
            .env("PATH", programs.path())
            .env("TMPDIR", programs.path());
        ran(command.output().unwrap())
    };
    let named = open(&["--html", "page.html"]).ended(2);
    let page = place.photos().with_file_name("page.html");
    let page = page.to_str().unwrap();
    assert!(
        named.stderr.contains(&format!("no program opens {page}")),
        "{}",
        named.stderr
    );
    let opener = programs.path().join("xdg-open");
    let log = programs.path().join("log");
    std::fs::write(
        &opener,
        format!("#!/bin/sh\necho \"$1\" >'{}'\n", log.display()),
    )
    .unwrap();
    std::fs::set_permissions(&opener, std::fs::Permissions::from_mode(0o755)).unwrap();
    open(&["--html", "page.html"]).ended(0);
    assert_eq!(std::fs::read_to_string(&log).unwrap().trim_end(), page);
    // Without a name, the page is for this user's eyes only.
    open(&[]).ended(0);
    let temporary = std::fs::read_to_string(&log).unwrap();
    let temporary = Path::new(temporary.trim_end());
    assert!(temporary.starts_with(programs.path()), "{temporary:?}");
    assert_eq!(
        temporary.metadata().unwrap().permissions().mode() & 0o777,
        0o600
    );
    let html = std::fs::read_to_string(temporary).unwrap();
    assert_eq!(pictures(&html).len(), 3);
}
