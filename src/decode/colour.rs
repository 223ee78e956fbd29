//! Colour profiles: pixels in the colours that a file's ICC profile describes become those of sRGB.
//!
//! Converting comes last, when only the pixels that are used are left. Inks (CMYK) are converted first instead, by
//! [`Inks`], because everything else counts in light. A profile that makes no sense is ignored, as viewers do.

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

/// How inks become light: by a profile of CMYK, or else by a plain formula.
pub(super) struct Inks(Option<Arc<Transform8BitExecutor>>);

impl Inks {
    /// Returns the conversion by a profile. Without one, or if it makes no sense or is not one of four inks, each ink
    /// takes its share of the light.
    pub fn of(profile: Option<&[u8]>) -> Self {
        Self(profile.and_then(|profile| {
            let from = (profile.len() <= MAX_PROFILE)
                .then(|| ColorProfile::new_from_slice(profile).ok())
                .flatten()
                .filter(|from| from.color_space == DataColorSpace::Cmyk)?;
            let srgb = ColorProfile::new_srgb();
            from.create_transform_8bit(
                Layout::Rgba,
                &srgb,
                Layout::Rgb,
                TransformOptions::default(),
            )
            .ok()
        }))
    }

    /// Appends the RGB of pixels of cyan, magenta, yellow and black; 255 is all ink.
    pub fn add_rgb(&self, cmyk: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        let cmyk = &cmyk[..cmyk.len() / 4 * 4];
        out.resize(start + cmyk.len() / 4 * 3, 0);
        if let Some(transform) = &self.0 {
            // It fails only for a wrong number of pixels.
            if transform.transform(cmyk, &mut out[start..]).is_ok() {
                return;
            }
        }
        for (rgb, inks) in out[start..].chunks_exact_mut(3).zip(cmyk.chunks_exact(4)) {
            let light = 255 - u16::from(inks[3]);
            for (value, ink) in rgb.iter_mut().zip(inks) {
                *value = (((255 - u16::from(*ink)) * light + 127) / 255) as u8;
            }
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

    /// Returns a small profile of inks: CIE L*a*b* at the sixteen corners of CMYK (`lut8Type` of ICC.1:2022, 10.10).
    fn inks(lab_of: impl Fn([u8; 4]) -> [u8; 3]) -> Vec<u8> {
        let mut lut = b"mft1\0\0\0\0\x04\x03\x02\0".to_vec();
        for i in 0..9u32 {
            let unit = if i % 4 == 0 { 0x1_0000u32 } else { 0 };
            lut.extend(unit.to_be_bytes());
        }
        let straight = || 0..=255u8;
        (0..4).for_each(|_| lut.extend(straight()));
        for corner in 0..16u8 {
            lut.extend(lab_of([3, 2, 1, 0].map(|bit| corner >> bit & 1)));
        }
        (0..3).for_each(|_| lut.extend(straight()));
        let place = 128 + 4 + 12;
        let mut profile = vec![0; 128];
        profile[..4].copy_from_slice(&((place + lut.len()) as u32).to_be_bytes());
        profile[8] = 2;
        profile[12..24].copy_from_slice(b"prtrCMYKLab ");
        profile[36..40].copy_from_slice(b"acsp");
        // The light of print, D50.
        for (i, value) in [0xf6d6u32, 0x1_0000, 0xd32d].into_iter().enumerate() {
            profile[68 + 4 * i..72 + 4 * i].copy_from_slice(&value.to_be_bytes());
        }
        profile.extend(1u32.to_be_bytes());
        profile.extend(b"A2B0");
        profile.extend((place as u32).to_be_bytes());
        profile.extend((lut.len() as u32).to_be_bytes());
        profile.extend(lut);
        profile
    }

    #[test]
    fn inks_become_light_by_their_profile() {
        // Black ink is a dark grey of L* 20 on this paper, and yellow is orange.
        let profile = inks(
            |[cyan, magenta, yellow, black]| match [cyan, magenta, yellow, black] {
                [.., 1] => [51, 128, 128],
                [0, 0, 0, 0] => [255, 128, 128],
                [0, 0, 1, 0] => [178, 158, 203],
                _ => [128, 128, 128],
            },
        );
        let shown = |profile: Option<&[u8]>, cmyk: &[u8]| {
            let mut rgb = Vec::new();
            Inks::of(profile).add_rgb(cmyk, &mut rgb);
            rgb
        };
        let cmyk = [0, 0, 0, 0, 0, 0, 0, 255, 0, 0, 255, 0];
        assert_eq!(shown(None, &cmyk), [255, 255, 255, 0, 0, 0, 255, 255, 0]);
        let by_profile = shown(Some(&profile), &cmyk);
        let expected = [255, 255, 255, 48, 48, 48, 242, 148, 0];
        let near = by_profile
            .iter()
            .zip(expected)
            .all(|(a, b)| a.abs_diff(b) <= 6);
        assert!(near, "{by_profile:?}");
        // Not one of inks.
        let rgb = ColorProfile::new_display_p3().encode().unwrap();
        assert_eq!(shown(Some(&rgb), &cmyk), shown(None, &cmyk));
        assert_eq!(shown(Some(b"nothing"), &cmyk), shown(None, &cmyk));
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
