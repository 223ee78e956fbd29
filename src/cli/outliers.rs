//! `imgsearch outliers`.

use imgsearch::Library;
use imgsearch::groups::{Foreign, Outlier, OutlierOptions, Outliers, Unknown};
use imgsearch::index::{Image, ImageId};
use imgsearch::render::sheet;
use jiff::tz::TimeZone;
use serde_json::json;

use super::args::{Global, OutliersArgs, fills_output};
use super::output::{counted, relative, shown, with_path};
use super::pictures::{Page, date, named_labels, of_path};
use super::progress::{CommandProgress, Task};
use super::query::percents;
use super::signals::stop_flag;
use super::streams::{out, say};
use super::{Outcome, Result, foreign, setup};

pub fn run(global: &Global, args: &OutliersArgs) -> Result {
    let page = Page::of_options(global, args.html.as_deref(), args.open, args.json)?;
    let stop = stop_flag("stopping")?;
    let library = setup::library(global, None, Some(&args.limits))?;
    let mut options = OutlierOptions::default();
    options.k = args.k;
    options.filter = setup::filter(global, &library, &args.chosen.typed())?;
    let progress = CommandProgress::new(Task::Groups, global, args.json, &stop);
    let found = if args.unknown {
        Found::Unknown(library.unknown(&options, &progress)?, library.foreign()?)
    } else {
        Found::Far(library.outliers(&options, &progress)?)
    };
    progress.finish();
    let images = library.index_view()?.images(&found.ids())?;
    if args.json {
        found.print_json(&library, &images)?;
    } else if !fills_output(args.html.as_deref()) {
        found.print(&images);
    }
    if !args.json && !global.quiet {
        found.say_about(global, &library)?;
    }
    let mut outcome = if found.ids().is_empty() {
        Outcome::Partial
    } else {
        Outcome::Done
    };
    if let Some(mut page) = page {
        let title = if args.unknown {
            "What the encoder knows little of"
        } else {
            "What resembles nothing else"
        };
        let section = sheet::Group {
            note: counted(images.len(), "image", "images"),
            items: found.items(&images),
            ..sheet::Group::default()
        };
        page.add(&library, section)?;
        if page.finish(title)? == Outcome::Partial {
            outcome = Outcome::Partial;
        }
    }
    Ok(outcome)
}

/// What was found.
enum Found {
    /// Far from all others.
    Far(Outliers),
    /// Unknown to the encoder, and how much of the collection is.
    Unknown(Vec<Unknown>, Option<Foreign>),
}

impl Found {
    fn ids(&self) -> Vec<ImageId> {
        match self {
            Self::Far(far) => far.outliers.iter().map(|one| one.id).collect(),
            Self::Unknown(unknown, _) => unknown.iter().map(|one| one.id).collect(),
        }
    }

    /// Returns what is said of each image.
    fn remarks(&self) -> Vec<String> {
        match self {
            Self::Far(far) => {
                let remark = |one: &Outlier| format!("{:.3}", one.distance);
                far.outliers.iter().map(remark).collect()
            }
            Self::Unknown(unknown, _) => unknown.iter().map(doubt).collect(),
        }
    }

    fn print(&self, images: &[Option<Image>]) {
        let remarks = self.remarks();
        let width = remarks.iter().map(|remark| remark.chars().count()).max();
        let (width, digits) = (width.unwrap_or(0), images.len().to_string().len());
        for (i, (image, remark)) in images.iter().zip(&remarks).enumerate() {
            let path = image.as_ref().map(|image| shown(&relative(&image.path)));
            let path = path.unwrap_or_default();
            out!("{:>digits$}  {remark:>width$}  {path}", i + 1);
        }
    }

    fn say_about(&self, global: &Global, library: &Library) -> Result<()> {
        match self {
            Self::Far(far) if far.images == 0 => {
                say!("no image to compare: the index is empty, or none matches the filters");
            }
            Self::Far(far) if far.images == 1 => {
                say!("there is only one image, or copies of one: nothing to compare it with");
            }
            Self::Far(far) => say!(
                "mean distance to the ten nearest; half of {} are within {:.3}, and {} beyond {:.3}",
                counted(far.images, "different image", "different images"),
                far.typical,
                counted(far.beyond, "stands out", "stand out"),
                far.limit
            ),
            Self::Unknown(found, _) if found.is_empty() => {
                say!("no image with labels: the index is empty, or none matches the filters");
            }
            Self::Unknown(_, how_much) => {
                say!(
                    "per cent of doubt: 0 if the encoder is sure of one class, 100 if it has no idea"
                );
                if let Some(how_much) = how_much {
                    foreign::say_if_much(global, library, how_much)?;
                }
            }
        }
        Ok(())
    }

    fn items(&self, images: &[Option<Image>]) -> Vec<sheet::Item> {
        let zone = TimeZone::try_system().unwrap_or(TimeZone::UTC);
        let remarks = self.remarks();
        let mut items = Vec::new();
        for (i, (image, remark)) in images.iter().zip(remarks).enumerate() {
            let Some(image) = image else { continue };
            let mut item = of_path(&image.path);
            item.rank = Some(i + 1);
            item.nearness = remark;
            item.facts.push(date(image, &zone));
            item.facts
                .push(format!("{} × {}", image.width, image.height));
            if let Self::Unknown(unknown, _) = self {
                item.facts.extend(named_labels(&unknown[i].labels));
            }
            items.push(item);
        }
        items
    }

    fn print_json(&self, library: &Library, images: &[Option<Image>]) -> Result<()> {
        let mut value = match self {
            Self::Far(far) => json!({
                "images": far.images, "typical": far.typical, "limit": far.limit, "beyond": far.beyond,
                "results": far.outliers,
            }),
            Self::Unknown(unknown, how_much) => {
                json!({"foreign": how_much.map(|how_much| foreign::to_json(&how_much)), "results": unknown})
            }
        };
        if let Some(results) = value["results"].as_array_mut() {
            for (result, image) in results.iter_mut().zip(images) {
                if let Some(image) = image {
                    *result = with_path(result.take(), "path", &image.path);
                }
            }
        }
        if let Self::Far(far) = self {
            let ids: Vec<ImageId> = far.outliers.iter().filter_map(|one| one.nearest).collect();
            let nearest = library.index_view()?.images(&ids)?;
            let results = value["results"].as_array_mut().into_iter().flatten();
            let with_nearest = results.filter(|result| !result["nearest"].is_null());
            for (result, image) in with_nearest.zip(nearest) {
                if let Some(image) = image {
                    *result = with_path(result.take(), "nearest_path", &image.path);
                }
            }
        }
        out!("{value}");
        Ok(())
    }
}

fn doubt(one: &Unknown) -> String {
    let small = if one.small { "small, " } else { "" };
    format!("{small}{}", percents(one.doubt))
}
