//! Colour profiles: pixels in the colours that a file's ICC profile describes become those of sRGB.
//!
//! Converting comes last, when only the pixels that are used are left. A profile that makes no sense is ignored, as
//! viewers do, and so are those of inks: CMYK is converted by the decoders.

use std::sync::Arc;

use moxcms::{ColorProfile, DataColorSpace, Layout, Transform8BitExecutor, TransformOptions};

/// The maximum bytes of a profile that is read. Those of displays have a few thousand, those with tables a million.
pub(super) const MAX_PROFILE: usize = 4 << 20;

/// Pixels that are converted at once.
const CHUNK: usize = 16 << 10;

/// A profile is that of sRGB if no colour moves by more than this.
const SAME: u8 = 2;

/// How pixels are converted.
#[derive(Clone)]
enum Conversion {
    /// They are shown as they are.
    Nothing,
    Colours(Arc<Transform8BitExecutor>),
    Greys(Arc<Transform8BitExecutor>),
}

/// The conversion of the profile that was seen last: a camera's images have the same.
#[derive(Default)]
pub(super) struct Colours {
    last: Option<(Vec<u8>, Conversion)>,
}

impl Colours {
    /// Converts RGB pixels from a profile to sRGB.
    pub fn convert(&mut self, profile: Vec<u8>, rgb: &mut [u8]) {
        let conversion = match &self.last {
            Some((last, conversion)) if *last == profile => conversion.clone(),
            _ => {
                let conversion = Conversion::of(&profile).unwrap_or(Conversion::Nothing);
                self.last = Some((profile, conversion.clone()));
                conversion
            }
        };
        conversion.apply(rgb);
    }
}

impl Conversion {
    /// Returns the conversion from a profile, or `None` if it makes no sense.
    fn of(profile: &[u8]) -> Option<Self> {
        if profile.len() > MAX_PROFILE {
            return None;
        }
        let from = ColorProfile::new_from_slice(profile).ok()?;
        let layout = match from.color_space {
            DataColorSpace::Rgb => Layout::Rgb,
            DataColorSpace::Gray => Layout::Gray,
            _ => return None,
        };
        let srgb = ColorProfile::new_srgb();
        let transform = from
            .create_transform_8bit(layout, &srgb, Layout::Rgb, TransformOptions::default())
            .ok()?;
        let conversion = match layout {
            Layout::Gray => Self::Greys(transform),
            _ => Self::Colours(transform),
        };
        let samples = samples();
        let mut converted = samples.clone();
        conversion.apply(&mut converted);
        let moved = samples.iter().zip(&converted).map(|(a, b)| a.abs_diff(*b));
        // Most profiles are those of sRGB.
        Some(match moved.max() {
            Some(moved) if moved > SAME => conversion,
            _ => Self::Nothing,
        })
    }

    fn apply(&self, rgb: &mut [u8]) {
        let mut from = Vec::new();
        for chunk in rgb.chunks_mut(CHUNK * 3) {
            from.clear();
            let done = match self {
                Self::Nothing => return,
                Self::Colours(transform) => {
                    from.extend_from_slice(chunk);
                    transform.transform(&from, chunk)
                }
                // A profile of greys says nothing of colours.
                Self::Greys(_) if !is_grey(chunk) => return,
                Self::Greys(transform) => {
                    from.extend(chunk.iter().step_by(3));
                    transform.transform(&from, chunk)
                }
            };
            // It fails only for a wrong number of pixels, which the layouts above exclude.
            debug_assert!(done.is_ok());
        }
    }
}

fn is_grey(rgb: &[u8]) -> bool {
    rgb.chunks_exact(3)
        .all(|pixel| pixel[0] == pixel[1] && pixel[1] == pixel[2])
}

/// Returns colours that tell profiles apart: greys first, which are all that a profile of greys converts.
fn samples() -> Vec<u8> {
    let steps = || (0..=4u8).map(|step| step.saturating_mul(64).saturating_sub(u8::from(step > 3)));
    let greys = (0..=255u8).step_by(15).flat_map(|value| [value; 3]);
    let greys = greys.cycle().take(CHUNK * 3);
    let colours = steps().flat_map(|red| {
        steps().flat_map(move |green| steps().flat_map(move |blue| [red, green, blue]))
    });
    greys.chain(colours).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(profile: &ColorProfile, mut rgb: Vec<u8>) -> Vec<u8> {
        Colours::default().convert(profile.encode().unwrap(), &mut rgb);
        rgb
    }

    #[test]
    fn wide_colours_become_those_of_srgb() {
        // The brightest green of Display P3 is outside of sRGB; its middle grey is the same.
        let p3 = ColorProfile::new_display_p3();
        let pixels = converted(&p3, vec![0, 255, 0, 128, 128, 128, 200, 100, 50]);
        assert_eq!(pixels[..3], [0, 255, 0]);
        assert!(
            pixels[3..6].iter().all(|value| value.abs_diff(128) <= 1),
            "{pixels:?}"
        );
        let expected = [215, 93, 31];
        let near = pixels[6..]
            .iter()
            .zip(expected)
            .all(|(a, b)| a.abs_diff(b) <= 3);
        assert!(near, "{pixels:?}");
    }

    #[test]
    fn what_is_srgb_or_makes_no_sense_stays_as_it_is() {
        let pixels: Vec<u8> = (0..240).collect();
        assert_eq!(converted(&ColorProfile::new_srgb(), pixels.clone()), pixels);
        let mut colours = Colours::default();
        for profile in [Vec::new(), b"no profile".to_vec(), vec![0; MAX_PROFILE + 1]] {
            let mut rgb = pixels.clone();
            colours.convert(profile, &mut rgb);
            assert_eq!(rgb, pixels);
        }
    }

    #[test]
    fn greys_follow_their_curve() {
        let linear = ColorProfile::new_gray_with_gamma(1.0);
        let pixels = converted(&linear, vec![55, 55, 55]);
        // A light of 0.216 is sRGB's 128.
        assert!(
            pixels.iter().all(|value| value.abs_diff(128) <= 2),
            "{pixels:?}"
        );
        assert_eq!(converted(&linear, vec![55, 60, 55]), [55, 60, 55]);
    }
}
