//! GIFs that need more than their first frame, or that end early: the frames one after another, row by row.

use gif::{ColorOutput, DecodeOptions, Decoder, DisposalMethod, MemoryLimit};

use super::claim::{Claim, Stop};
use super::reading::{Allowed, Counting, Reading};
use super::source::Data;
use super::{Rgb, ground, partial};

/// Maximum number of frames that are looked at for one that shows something.
const MAX_FRAMES: usize = 64;

/// The rows of an interlaced frame: first row and step of each pass.
const PASSES: [(usize, usize); 4] = [(0, 8), (4, 8), (2, 4), (1, 2)];

/// Decodes the first frame that shows something: more than one colour. Returns what is missing of it, too; `None` if
/// there is no such frame, or too little of it.
///
/// # Errors
///
/// If the image has more pixels than the limit, or its memory is not free now.
pub(super) fn decode(
    data: Data<'_>,
    claim: &mut Claim<'_>,
) -> Result<Option<(Rgb, Option<String>)>, Stop> {
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::RGBA);
    options.allow_unknown_blocks(true);
    // Frames come line by line into memory that is reserved below.
    options.set_memory_limit(MemoryLimit::Unlimited);
    let stream = Reading::new(data, Allowed::default(), Counting::All);
    let Ok(mut decoder) = options.read_info(stream) else {
        return Ok(None);
    };
    let (width, height) = (u32::from(decoder.width()), u32::from(decoder.height()));
    claim.limits.check_pixels(width, height)?;
    let pixels = u64::from(width) * u64::from(height);
    // Two canvases, and lines.
    let need = pixels * 8 + u64::from(u16::MAX) * 4 + claim.afterwards((width, height));
    claim.bytes((width, height), need)?;
    let mut canvas = vec![0; pixels as usize * 4];
    for _ in 0..MAX_FRAMES {
        let Some((share, dispose)) = frame(&mut decoder, &mut canvas, width as usize) else {
            break;
        };
        let rgb = ground::show(canvas.clone());
        if !ground::is_flat(&rgb) {
            let all = pixels.max(1);
            let there = (share * all as f64) as u64;
            let Ok(damage) = partial::judge(there, all, None) else {
                break;
            };
            let rgb = Rgb {
                width,
                height,
                pixels: rgb,
            };
            return Ok(Some((rgb, damage)));
        }
        if share < 1.0 {
            break;
        }
        if dispose != DisposalMethod::Keep && dispose != DisposalMethod::Any {
            canvas.fill(0);
        }
    }
    Ok(None)
}

/// Draws the next frame. Returns the share of its rows that are there, and what becomes of it; `None` if there is no
/// other.
fn frame(
    decoder: &mut Decoder<Reading<'_>>,
    canvas: &mut [u8],
    canvas_width: usize,
) -> Option<(f64, DisposalMethod)> {
    let frame = decoder.next_frame_info().ok()??;
    let (left, top) = (usize::from(frame.left), usize::from(frame.top));
    let (width, height) = (usize::from(frame.width), usize::from(frame.height));
    let (interlaced, dispose) = (frame.interlaced, frame.dispose);
    let passes: &[(usize, usize)] = if interlaced { &PASSES } else { &[(0, 1)] };
    let mut line = vec![0; width * 4];
    let mut drawn = 0;
    let order = passes
        .iter()
        .flat_map(|&(first, step)| (first..height).step_by(step));
    for y in order {
        if !matches!(decoder.fill_buffer(&mut line), Ok(true)) {
            break;
        }
        drawn += 1;
        let row = canvas
            .chunks_exact_mut(canvas_width.max(1) * 4)
            .nth(top + y);
        let part = row.and_then(|row| row.get_mut(left * 4..));
        let Some(part) = part else { continue };
        for (to, from) in part.chunks_exact_mut(4).zip(line.chunks_exact(4)) {
            if from[3] > 0 {
                to.copy_from_slice(from);
            }
        }
    }
    (drawn > 0).then(|| (drawn as f64 / height.max(1) as f64, dispose))
}
