//! How a published model wants its images: their size, how they are brought to it, and how pixels become numbers.

use std::path::PathBuf;

use serde_json::Value;

use super::ImportOptions;
use super::config::Configs;
use crate::encoder_file::EncoderResize;
use crate::error::{Error, Result};

/// The share of the image that is cut out if nothing says so: 224 of 256 pixels.
const USUAL_CROP: f64 = 224.0 / 256.0;

/// From this size on, models that name a `crop_pct` take the whole image.
const WHOLE_FROM: u32 = 384;

/// The preparation of images.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Preparation {
    /// Width and height in pixels, if anything says so.
    pub side: Option<(u32, u32)>,
    /// How images are brought to that size.
    pub resize: Option<EncoderResize>,
    /// Factor and addend of each channel, for pixels from 0 to 255.
    pub scale: [f32; 3],
    pub shift: [f32; 3],
    /// Whether the model takes blue first.
    pub blue_first: bool,
}

/// The preparation that the options and the model's files ask for.
///
/// # Errors
///
/// [`Error::Import`] if they ask for something that is unknown here, or leave out the mean.
pub(super) fn preparation(
    configs: &Configs,
    options: &ImportOptions,
    notes: &mut Vec<String>,
) -> Result<Preparation> {
    let reading = Reading::of(configs);
    reading.refuse_unknown()?;
    let (mut side, mut resize) = reading.geometry(notes)?;
    if let Some(new) = options.size {
        resize = resize.map(|resize| match (resize, side) {
            (EncoderResize::ShortSideCrop { short }, Some((width, height))) => {
                let share = f64::from(short) / f64::from(width.min(height));
                EncoderResize::ShortSideCrop {
                    short: (f64::from(new) * share).round() as u32,
                }
            }
            (resize, _) => resize,
        });
        side = Some((new, new));
    }
    let (scale, shift) = reading.normalisation(options)?;
    Ok(Preparation {
        side,
        resize: options.resize.or(resize),
        scale,
        shift,
        blue_first: reading.flag("do_flip_channel_order").unwrap_or(false),
    })
}

impl Preparation {
    /// The way to bring images to a size if nothing says so.
    pub fn usual_resize(width: u32, height: u32) -> EncoderResize {
        EncoderResize::ShortSideCrop {
            short: (f64::from(width.min(height)) / USUAL_CROP).round() as u32,
        }
    }
}

/// A size as a file states it.
enum Size {
    /// The short side in pixels.
    Short(u32),
    /// Height and width.
    Exact(u32, u32),
    /// One number, whose meaning depends on whether the centre is cut out.
    One(u32),
}

/// The values about images, and the file that holds them.
struct Reading<'a> {
    path: PathBuf,
    values: &'a Value,
    /// Whether they are in the words of timm.
    timm: bool,
}

impl<'a> Reading<'a> {
    fn of(configs: &'a Configs) -> Self {
        let timm = &configs.config["pretrained_cfg"];
        match &configs.images {
            Some((name, values)) => Self {
                path: configs.folder.join(name),
                values,
                timm: false,
            },
            None => Self {
                path: configs.folder.join("config.json"),
                values: timm,
                timm: true,
            },
        }
    }

    fn fail(&self, reason: String) -> Error {
        Error::import(&self.path, reason)
    }

    fn flag(&self, key: &str) -> Option<bool> {
        self.values[key].as_bool()
    }

    /// Refuses steps that cannot be done here.
    fn refuse_unknown(&self) -> Result<()> {
        const UNKNOWN: [&str; 6] = [
            "do_pad",
            "rescale_offset",
            "include_top",
            "do_image_splitting",
            "do_color_quantize",
            "do_grayscale",
        ];
        let mut asked = UNKNOWN.iter().filter(|key| self.flag(key) == Some(true));
        match asked.next() {
            None => Ok(()),
            Some(key) => Err(self.fail(format!(
                "it asks for {key}, a step that imgsearch does not know; if the model does without, set it to false"
            ))),
        }
    }

    fn pixels(&self, key: &str, value: &Value) -> Result<u32> {
        let side = value.as_u64().and_then(|side| u32::try_from(side).ok());
        side.filter(|side| (1..=4096).contains(side))
            .ok_or_else(|| {
                self.fail(format!(
                    "its {key} is {value}, and a size is from 1 to 4096 pixels; give it with --size"
                ))
            })
    }

    fn size(&self, key: &str) -> Result<Option<Size>> {
        let value = &self.values[key];
        let side = |part: &str| self.pixels(key, &value[part]);
        Ok(match value {
            Value::Null => None,
            Value::Number(_) => Some(Size::One(self.pixels(key, value)?)),
            Value::Object(parts)
                if parts.contains_key("shortest_edge") && !parts.contains_key("longest_edge") =>
            {
                Some(Size::Short(side("shortest_edge")?))
            }
            Value::Object(parts) if parts.contains_key("height") && parts.contains_key("width") => {
                Some(Size::Exact(side("height")?, side("width")?))
            }
            other => {
                return Err(self.fail(format!(
                    "its {key} is {other}, and imgsearch knows a number, {{\"shortest_edge\"}} and {{\"height\", \
                     \"width\"}}; remove it and give --size and --resize"
                )));
            }
        })
    }

    /// Width and height, and how images are brought to them.
    fn geometry(&self, notes: &mut Vec<String>) -> Result<Geometry> {
        if self.timm {
            return self.timm_geometry();
        }
        let (size, crop) = (self.size("size")?, self.size("crop_size")?);
        let cropped = match crop {
            Some(Size::Exact(height, width)) => Some((width, height)),
            Some(Size::Short(side) | Size::One(side)) => Some((side, side)),
            None => None,
        };
        let cropped = cropped.filter(|_| self.flag("do_center_crop").unwrap_or(true));
        Ok(match (size, cropped) {
            (None, None) => (None, None),
            (None, Some(crop)) => (Some(crop), None),
            (Some(Size::Short(short) | Size::One(short)), Some((width, height))) => (
                Some((width, height)),
                Some(self.short_side(short, width, height, notes)),
            ),
            (Some(Size::Exact(height, width)), Some(crop)) if (width, height) == crop => {
                (Some(crop), Some(EncoderResize::Squash))
            }
            (Some(Size::Exact(height, width)), Some(crop)) => {
                notes.push(format!(
                    "{} squashes images to {width} by {height} before it cuts out the centre; imgsearch keeps their aspect \
                     ratio instead",
                    self.path.display()
                ));
                (
                    Some(crop),
                    Some(self.short_side(width.min(height), crop.0, crop.1, notes)),
                )
            }
            (Some(Size::Exact(height, width)), None) => {
                (Some((width, height)), Some(EncoderResize::Squash))
            }
            (Some(Size::One(side)), None) => (Some((side, side)), Some(EncoderResize::Squash)),
            (Some(Size::Short(side)), None) => (Some((side, side)), Some(self.whole(side))),
        })
    }

    fn short_side(
        &self,
        short: u32,
        width: u32,
        height: u32,
        notes: &mut Vec<String>,
    ) -> EncoderResize {
        let longer = width.max(height);
        if short < longer {
            notes.push(format!(
                "{} scales images to {short} pixels and pads them to {longer}; imgsearch scales them to {longer} instead",
                self.path.display()
            ));
        }
        EncoderResize::ShortSideCrop {
            short: short.max(longer),
        }
    }

    /// What a short side without a crop means: ConvNeXt and others name a share to cut out.
    fn whole(&self, side: u32) -> EncoderResize {
        match self.values["crop_pct"].as_f64() {
            Some(share) if side < WHOLE_FROM && share > 0.0 => EncoderResize::ShortSideCrop {
                short: ((f64::from(side) / share) as u32).max(side),
            },
            Some(_) => EncoderResize::Squash,
            None => EncoderResize::ShortSideCrop { short: side },
        }
    }

    fn timm_geometry(&self) -> Result<Geometry> {
        let Value::Array(sides) = &self.values["input_size"] else {
            return Ok((None, None));
        };
        let [_, height, width] = sides.as_slice() else {
            return Err(self.fail(format!(
                "its input_size is {}, and it must be [3, height, width]",
                self.values["input_size"]
            )));
        };
        let (height, width) = (
            self.pixels("input_size", height)?,
            self.pixels("input_size", width)?,
        );
        let share = self.values["crop_pct"]
            .as_f64()
            .filter(|share| *share > 0.0);
        let resize = if self.values["crop_mode"] == "squash" {
            EncoderResize::Squash
        } else {
            let short = f64::from(width.min(height)) / share.unwrap_or(USUAL_CROP);
            EncoderResize::ShortSideCrop {
                short: (short as u32).max(width.max(height)),
            }
        };
        Ok((Some((width, height)), Some(resize)))
    }

    /// Factor and addend of each channel.
    fn normalisation(&self, options: &ImportOptions) -> Result<([f32; 3], [f32; 3])> {
        let rescale = if self.flag("do_rescale") == Some(false) {
            1.0
        } else {
            match &self.values["rescale_factor"] {
                Value::Null => 1.0 / 255.0,
                value => value
                    .as_f64()
                    .filter(|factor| *factor > 0.0)
                    .ok_or_else(|| {
                        self.fail(format!(
                            "its rescale_factor is {value}, and it must be a number above 0"
                        ))
                    })? as f32,
            }
        };
        let keys = if self.timm {
            ["mean", "std"]
        } else {
            ["image_mean", "image_std"]
        };
        let (mean, std) = if self.flag("do_normalize") == Some(false) {
            (
                options.mean.unwrap_or([0.0; 3]),
                options.std.unwrap_or([1.0; 3]),
            )
        } else {
            (
                self.channels(keys[0], options.mean, "--mean")?,
                self.channels(keys[1], options.std, "--std")?,
            )
        };
        if std.iter().any(|std| *std <= 0.0) {
            return Err(self.fail(format!(
                "its {} is {std:?}, and it must be above 0",
                keys[1]
            )));
        }
        let scale = std.map(|std| rescale / std);
        let shift = [0, 1, 2].map(|i| -mean[i] / std[i]);
        Ok((scale, shift))
    }

    fn channels(&self, key: &str, given: Option<[f32; 3]>, option: &str) -> Result<[f32; 3]> {
        if let Some(given) = given {
            return Ok(given);
        }
        let number = |value: &Value| value.as_f64().map(|number| number as f32);
        let values = match &self.values[key] {
            Value::Null => {
                return Err(self.fail(format!(
                    "nothing says its {key}; give it with {option} R,G,B"
                )));
            }
            Value::Array(values) => values.iter().map(number).collect::<Option<Vec<f32>>>(),
            value => number(value).map(|value| vec![value; 3]),
        };
        let values = values.and_then(|values| <[f32; 3]>::try_from(values).ok());
        values.ok_or_else(|| {
            self.fail(format!(
                "its {key} is {}, and it must be three numbers; give it with {option} R,G,B",
                self.values[key]
            ))
        })
    }
}

/// Width and height, and how images are brought to them.
type Geometry = (Option<(u32, u32)>, Option<EncoderResize>);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(images: Value) -> Result<(Preparation, Vec<String>)> {
        let configs = Configs {
            images: Some(("preprocessor_config.json", images)),
            ..Configs::default()
        };
        let mut notes = Vec::new();
        let made = preparation(&configs, &ImportOptions::default(), &mut notes)?;
        Ok((made, notes))
    }

    fn geometry(images: Value) -> ((u32, u32), String) {
        let mut images = images;
        images["image_mean"] = json!([0.5, 0.5, 0.5]);
        images["image_std"] = json!([0.5, 0.5, 0.5]);
        let (made, _) = of(images).unwrap();
        (made.side.unwrap(), made.resize.unwrap().to_string())
    }

    #[test]
    fn published_geometries_are_read() {
        let crop = json!({"height": 224, "width": 224});
        let cases = [
            // CLIP, as written by older and by newer exporters.
            (
                json!({"size": {"shortest_edge": 224}, "crop_size": crop, "do_center_crop": true}),
                224,
                "short-side-crop:224",
            ),
            (
                json!({"size": 224, "crop_size": 224, "do_center_crop": true}),
                224,
                "short-side-crop:224",
            ),
            // DINOv2 and MobileCLIP.
            (
                json!({"size": {"shortest_edge": 256}, "crop_size": crop, "do_center_crop": true}),
                224,
                "short-side-crop:256",
            ),
            // SigLIP and ViT.
            (
                json!({"size": {"height": 384, "width": 384}}),
                384,
                "squash",
            ),
            (json!({"size": 224, "do_center_crop": false}), 224, "squash"),
            // ConvNeXt.
            (
                json!({"size": {"shortest_edge": 224}, "crop_pct": 0.875}),
                224,
                "short-side-crop:256",
            ),
            (
                json!({"size": {"shortest_edge": 384}, "crop_pct": 1.0}),
                384,
                "squash",
            ),
        ];
        for (images, side, resize) in cases {
            assert_eq!(
                geometry(images.clone()),
                ((side, side), resize.to_owned()),
                "{images}"
            );
        }
    }

    #[test]
    fn timm_is_read_from_the_configuration() {
        let configs = Configs {
            config: json!({"pretrained_cfg": {
                "input_size": [3, 256, 224], "crop_pct": 0.875, "mean": [0.5, 0.25, 0.0], "std": [0.5, 0.5, 1.0],
            }}),
            ..Configs::default()
        };
        let made = preparation(&configs, &ImportOptions::default(), &mut Vec::new()).unwrap();
        assert_eq!(made.side, Some((224, 256)));
        assert_eq!(
            made.resize,
            Some(EncoderResize::ShortSideCrop { short: 256 })
        );
        assert_eq!(made.shift, [-1.0, -0.5, 0.0]);
        assert!((made.scale[0] - 2.0 / 255.0).abs() < 1e-7);
    }

    #[test]
    fn unknown_values_are_named() {
        let cases = [
            (json!({"size": {"longest_edge": 512}}), "longest_edge"),
            (json!({"size": "big"}), "\"big\""),
            (json!({"size": 0}), "from 1 to 4096"),
            (json!({"size": 224, "do_pad": true}), "do_pad"),
            (
                json!({"size": 224}),
                "nothing says its image_mean; give it with --mean R,G,B",
            ),
            (json!({"size": 224, "image_mean": [0.5]}), "three numbers"),
            (
                json!({"size": 224, "image_mean": 0.5, "image_std": 0}),
                "must be above 0",
            ),
            (
                json!({"size": 224, "rescale_factor": "small"}),
                "rescale_factor",
            ),
        ];
        for (images, part) in cases {
            let error = of(images.clone()).unwrap_err().to_string();
            assert!(
                error.contains(part) && error.contains("preprocessor_config.json"),
                "{images}: {error}"
            );
        }
    }

    #[test]
    fn what_is_done_otherwise_is_said() {
        let deit = json!({
            "size": {"height": 256, "width": 256}, "crop_size": 224, "do_center_crop": true, "do_normalize": false,
        });
        let (made, notes) = of(deit).unwrap();
        assert_eq!(
            made.resize,
            Some(EncoderResize::ShortSideCrop { short: 256 })
        );
        assert!(notes[0].contains("keeps their aspect ratio"), "{notes:?}");
        assert_eq!(made.shift.map(f32::abs), [0.0; 3]);
    }
}
