//! Pictures with a high dynamic range or a wide gamut, brought to what an ordinary picture shows.
//!
//! PQ and HLG (ITU-R BT.2100) store light up to many times the white of a page. What is up to three quarters of that
//! white is shown as it is; what is brighter is compressed towards it. Colours of wider primaries are converted; what
//! sRGB lacks is clipped.

/// Light of white paper and of skin in daylight, in cd/m² (ITU-R BT.2408).
const WHITE: f32 = 203.0;

/// Light of the brightest that a display of HLG shows, in cd/m².
const HLG_PEAK: f32 = 1000.0;

/// Brightest light that stays apart from others, as a multiple of white.
const BRIGHTEST: f32 = 1000.0 / WHITE;

/// Where compression begins, as a share of the white of the result.
const KNEE: f32 = 0.75;

/// From BT.2020's primaries, and from those of Display P3, to those of BT.709, in linear light.
const FROM_2020: [[f32; 3]; 3] = [
    [1.6605, -0.5876, -0.0728],
    [-0.1246, 1.1329, -0.0083],
    [-0.0182, -0.1006, 1.1187],
];
const FROM_P3: [[f32; 3]; 3] = [
    [1.2249, -0.2247, 0.0],
    [-0.0420, 1.0419, 0.0],
    [-0.0197, -0.0786, 1.0979],
];

/// What the numbers of a picture mean, by the code points of ITU-T H.273.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meaning {
    pub primaries: u16,
    pub transfer: u16,
    pub matrix: u16,
    pub full_range: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transfer {
    Pq,
    Hlg,
    /// sRGB's, which also stands for the similar curves of television.
    Ordinary,
}

/// How a picture of a high dynamic range or a wide gamut is converted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tone {
    transfer: Transfer,
    primaries: Option<&'static [[f32; 3]; 3]>,
}

impl Tone {
    /// Returns how, or `None` for an ordinary picture.
    pub fn of(meaning: &Meaning) -> Option<Self> {
        let transfer = match meaning.transfer {
            16 => Transfer::Pq,
            18 => Transfer::Hlg,
            _ => Transfer::Ordinary,
        };
        let primaries = match meaning.primaries {
            9 => Some(&FROM_2020),
            11 | 12 => Some(&FROM_P3),
            _ => None,
        };
        (transfer != Transfer::Ordinary || primaries.is_some()).then_some(Self {
            transfer,
            primaries,
        })
    }

    /// Converts a colour, 0 to 1 per channel, to sRGB.
    pub fn down(&self, rgb: [f32; 3]) -> [f32; 3] {
        let rgb = rgb.map(|value| value.clamp(0.0, 1.0));
        let mut light = match self.transfer {
            Transfer::Pq => rgb.map(|value| pq(value) * 10_000.0 / WHITE),
            Transfer::Hlg => hlg(rgb).map(|value| value * HLG_PEAK / WHITE),
            Transfer::Ordinary => rgb.map(linear),
        };
        if let Some(matrix) = self.primaries {
            let [red, green, blue] = light;
            light = matrix.map(|row| row[0] * red + row[1] * green + row[2] * blue);
        }
        if self.transfer == Transfer::Ordinary {
            return light.map(srgb);
        }
        // By the brightest channel, so that colours keep their hue.
        let most = light.iter().copied().fold(0.0, f32::max);
        let factor = if most > 0.0 {
            compressed(most) / most
        } else {
            1.0
        };
        light.map(|value| srgb(value * factor))
    }
}

/// Returns the light of a PQ value as a share of 10,000 cd/m² (SMPTE ST 2084).
fn pq(value: f32) -> f32 {
    let power = value.powf(32.0 / 2523.0);
    let above = (power - 0.835_937_5).max(0.0);
    let below = 18.851_563 - 18.6875 * power;
    (above / below).powf(8192.0 / 1305.0)
}

/// Returns the light of HLG values as a share of the display's peak (ITU-R BT.2100, system gamma 1.2).
fn hlg(rgb: [f32; 3]) -> [f32; 3] {
    let scene = rgb.map(|value| {
        if value <= 0.5 {
            value * value / 3.0
        } else {
            (((value - 0.559_910_7) / 0.178_832_77).exp() + 0.284_668_92) / 12.0
        }
    });
    let bright = 0.2627 * scene[0] + 0.678 * scene[1] + 0.0593 * scene[2];
    scene.map(|value| value * bright.powf(0.2))
}

/// Returns what light, as a multiple of white, becomes: itself up to the knee, and at most 1.
fn compressed(light: f32) -> f32 {
    if light <= KNEE {
        return light;
    }
    let room = 1.0 - KNEE;
    let over = (light.min(BRIGHTEST) - KNEE) / room;
    let most = (BRIGHTEST - KNEE) / room;
    // Reinhard's curve, which reaches 1 at the brightest.
    KNEE + room * over * (1.0 + over / (most * most)) / (1.0 + over)
}

/// Returns the linear light of a value in sRGB.
fn linear(value: f32) -> f32 {
    if value <= 0.040_45 {
        value / 12.92
    } else {
        ((value + 0.055) / 1.055).powf(2.4)
    }
}

/// Returns linear light, 0 to 1, in sRGB.
fn srgb(light: f32) -> f32 {
    let light = light.clamp(0.0, 1.0);
    if light <= 0.003_130_8 {
        12.92 * light
    } else {
        1.055 * light.powf(1.0 / 2.4) - 0.055
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(transfer: u16) -> Tone {
        let meaning = Meaning {
            primaries: 9,
            transfer,
            matrix: 9,
            full_range: true,
        };
        Tone::of(&meaning).unwrap()
    }

    #[test]
    fn curves_are_those_of_the_standards() {
        // 100 and 1,000 cd/m² in PQ; the middle and the end of HLG.
        assert!((pq(0.508) * 10_000.0 - 100.0).abs() < 1.0);
        assert!((pq(0.7518) * 10_000.0 - 1000.0).abs() < 5.0);
        assert!((pq(1.0) - 1.0).abs() < 1e-3);
        let [white, ..] = hlg([1.0; 3]);
        assert!((white - 1.0).abs() < 1e-3, "{white}");
        assert!((hlg([0.75; 3])[0] * HLG_PEAK - WHITE).abs() < 2.0);
    }

    #[test]
    fn an_ordinary_range_stays_and_highlights_do_not_end_in_one_white() {
        for transfer in [16, 18] {
            let tone = tone(transfer);
            let steps: Vec<f32> = (0..=20)
                .map(|i| tone.down([i as f32 / 20.0; 3])[1])
                .collect();
            // Up to rounding.
            let rising = steps.windows(2).all(|two| two[1] > two[0] - 1e-4);
            assert!(rising, "{steps:?}");
            assert!(steps[0].abs() < 1e-3 && steps[20] > 0.995, "{steps:?}");
        }
        // Mid grey of an ordinary picture, 0.18 of white, in PQ.
        let grey = tone(16).down([0.4109; 3]);
        assert!(
            grey.iter().all(|value| (value - 0.46).abs() < 0.02),
            "{grey:?}"
        );
        // White is bright, and what is twice as bright is brighter.
        let (white, twice) = (tone(16).down([0.5807; 3])[0], tone(16).down([0.6542; 3])[0]);
        assert!(white > 0.9 && twice > white + 0.02, "{white} {twice}");
    }

    #[test]
    fn a_wide_gamut_is_converted() {
        let of = |primaries| Meaning {
            primaries,
            transfer: 13,
            matrix: 1,
            full_range: true,
        };
        assert!(Tone::of(&of(1)).is_none());
        for primaries in [9, 12] {
            let tone = Tone::of(&of(primaries)).unwrap();
            for grey in [0.0, 0.02, 0.5, 1.0] {
                let same = tone.down([grey; 3]);
                assert!(
                    same.iter().all(|value| (value - grey).abs() < 2e-3),
                    "{same:?}"
                );
            }
            // A pale green of it is a stronger green.
            let [red, green, blue] = tone.down([0.5, 0.7, 0.5]);
            assert!(
                red < 0.46 && green > 0.7 && blue < 0.5,
                "{red} {green} {blue}"
            );
        }
    }
}
