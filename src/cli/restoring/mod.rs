//! `imgsearch restore --model`: pictures are restored by a network.

mod network;
mod picture;

use std::path::{Path, PathBuf};

use imgsearch::onnx::{Restorer, RestorerTask, Runtime};
use serde_json::json;

use super::args::{Global, RestoreArgs, RestoringArgs};
use super::destination::check_output;
use super::output::{shown, with_path};
use super::setup::engine_options;
use super::streams::{complain, out, say};
use super::{Outcome, Result};
use network::{Wanted, restored};
use picture::Picture;

/// Restores the pictures that were named.
pub fn run(global: &Global, args: &RestoreArgs, model: &Path, output: &Path) -> Result {
    if args.paths.is_empty() {
        return Err("name the pictures to restore".into());
    }
    let own = &args.restoring;
    if own.compare.is_some() && args.paths.len() > 1 {
        return Err("--compare draws one picture; name one".into());
    }
    let targets = targets(&args.paths, output, own.force)?;
    if let Some(path) = &own.compare {
        check_output(path)?;
        refuse_input(path, &args.paths)?;
    }
    let options = engine_options(global, Some(&own.limits));
    let runtime = Runtime::load(&options.runtime())?;
    let mut restorer = Restorer::from_path(model, runtime, options.threads)?;
    let task = restorer.task();
    check_task(own, model, task)?;
    let mut outcome = Outcome::Done;
    for (i, (path, target)) in args.paths.iter().zip(&targets).enumerate() {
        let mut work = || -> Result<()> {
            let before = Picture::read(path, &options.limits)?;
            let mask = mask(args, &before, &options.limits)?;
            if task == RestorerTask::Colourise && !before.is_grey() && !global.quiet {
                say!(
                    "{}: the picture has colours, which are replaced",
                    shown(path)
                );
            }
            let wanted = Wanted {
                mask: mask.as_deref(),
                strength: own.strength as f32 / 100.0,
                noise: own.noise.map(|level| level as f32 / 255.0),
            };
            let after = restored(&mut restorer, &before, &wanted)?;
            after.write(target)?;
            if let Some(compare) = &own.compare {
                before.beside(&after).write(compare)?;
            }
            Ok(())
        };
        match work() {
            Ok(()) if args.json => {
                let line = with_path(json!({"task": task.name()}), "path", path);
                out!("{}", with_path(line, "output", target));
            }
            Ok(()) if !global.quiet => {
                out!(
                    "wrote {} ({} of {})",
                    shown(target),
                    i + 1,
                    args.paths.len()
                );
            }
            Ok(()) => {}
            Err(error) if args.paths.len() == 1 => return Err(error),
            Err(error) => {
                complain(format_args!("{error}"));
                outcome = Outcome::Partial;
            }
        }
    }
    Ok(outcome)
}

/// Refuses options that do not fit the task of the network.
fn check_task(args: &RestoringArgs, model: &Path, task: RestorerTask) -> Result<()> {
    let shown = model.display();
    if task == RestorerTask::Inpaint && args.mask.is_none() && args.rect.is_none() {
        return Err(format!(
            "{shown} fills holes: say where with --mask FILE or --rect X,Y,WIDTH,HEIGHT"
        )
        .into());
    }
    if args.noise.is_some() && task != RestorerTask::Denoise {
        return Err(format!(
            "--noise is for networks that remove noise, and {shown} was trained to {}",
            task.name()
        )
        .into());
    }
    Ok(())
}

/// Returns where each picture is written.
fn targets(inputs: &[PathBuf], output: &Path, force: bool) -> Result<Vec<PathBuf>> {
    let is_folder = inputs.len() > 1 || output.is_dir();
    let mut targets: Vec<PathBuf> = Vec::new();
    for input in inputs {
        let target = if is_folder {
            let name = input
                .file_name()
                .ok_or_else(|| format!("{} is no picture", input.display()))?;
            let target = output.join(name);
            if picture::is_jpeg(&target) {
                target
            } else {
                target.with_extension("png")
            }
        } else {
            output.to_owned()
        };
        picture::format(&target)?;
        refuse_input(&target, inputs)?;
        if targets.contains(&target) {
            return Err(format!("two pictures would be written to {}", target.display()).into());
        }
        if target.exists() && !force {
            return Err(format!("{} exists already; --force replaces it", target.display()).into());
        }
        targets.push(target);
    }
    if is_folder {
        std::fs::create_dir_all(output)
            .map_err(|error| format!("cannot create {}: {error}", output.display()))?;
    }
    targets.iter().try_for_each(|target| check_output(target))?;
    Ok(targets)
}

/// Refuses to write to an input, by whatever name.
fn refuse_input(target: &Path, inputs: &[PathBuf]) -> Result<()> {
    for input in inputs {
        if target == input || same_file::is_same_file(target, input).unwrap_or(false) {
            return Err(format!(
                "cannot write {}: it is an input, and inputs are never overwritten",
                target.display()
            )
            .into());
        }
    }
    Ok(())
}

/// Returns the part of a picture to restore: 1 for each pixel in it.
fn mask(
    args: &RestoreArgs,
    picture: &Picture,
    limits: &imgsearch::decode::Limits,
) -> Result<Option<Vec<f32>>> {
    let (width, height) = (picture.width, picture.height);
    if let Some(path) = &args.restoring.mask {
        let mask = Picture::read(path, limits)?;
        if (mask.width, mask.height) != (width, height) {
            return Err(format!(
                "the mask {} is {} × {} pixels, and the picture is {width} × {height}",
                path.display(),
                mask.width,
                mask.height
            )
            .into());
        }
        let (pixels, _) = mask.rgb.as_chunks::<3>();
        let mask: Vec<f32> = pixels.iter().map(|p| f32::from(p[1] >> 7)).collect();
        if !mask.contains(&1.0) {
            return Err(format!("the mask {} is white nowhere", path.display()).into());
        }
        return Ok(Some(mask));
    }
    let Some(rect) = &args.restoring.rect else {
        return Ok(None);
    };
    let &[left, top, wide, high] = rect.as_slice() else {
        return Err("--rect takes four numbers: X,Y,WIDTH,HEIGHT".into());
    };
    let ends = |start: u32, length: u32| start.saturating_add(length);
    let (right, bottom) = (ends(left, wide), ends(top, high));
    if wide == 0 || high == 0 || right as usize > width || bottom as usize > height {
        return Err(format!(
            "the rectangle {left},{top},{wide},{high} does not lie in the picture, which is {width} × {height} pixels"
        )
        .into());
    }
    let inside = |i: usize| {
        let (x, y) = ((i % width) as u32, (i / width) as u32);
        (left..right).contains(&x) && (top..bottom).contains(&y)
    };
    let mask = (0..width * height).map(|i| f32::from(u8::from(inside(i))));
    Ok(Some(mask.collect()))
}
