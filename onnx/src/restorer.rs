//! Runs a restorer: a network that repairs pictures.

use std::path::Path;

use ort::session::Session;
use ort::value::TensorRef;

use crate::error::{Error, Result};
use crate::open;
use crate::read::{MAX_MODEL_BYTES, read_whole};
use crate::runtime::Runtime;

/// Key of the metadata that says what a restorer was trained for.
pub const RESTORER_TASK: &str = "imgsearch.task";
/// Name of the input: float32 `[n, 4, height, width]`; red, green and blue from -0.5 to 0.5, and a plane
/// that depends on the task.
pub const PICTURE: &str = "picture";
/// Name of the output: float32 `[n, 3, height, width]`.
pub const RESTORED: &str = "restored";

/// What a restorer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RestorerTask {
    /// Removes noise. The fourth plane is the deviation of the noise, with pixels from 0 to 1.
    Denoise,
    /// Fills holes. The fourth plane is 1 in a hole, and the colours are 0 there.
    Inpaint,
    /// Removes texts and logos. The fourth plane is 1 where one may be.
    Watermark,
    /// Colours grey pictures. The colours are all the luma, the fourth plane is 0.
    Colourise,
}

impl RestorerTask {
    /// Every task.
    pub const ALL: [Self; 4] = [
        Self::Denoise,
        Self::Inpaint,
        Self::Watermark,
        Self::Colourise,
    ];

    /// The name in the metadata and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Denoise => "denoise",
            Self::Inpaint => "inpaint",
            Self::Watermark => "watermark",
            Self::Colourise => "colourise",
        }
    }
}

/// A restorer, ready to run.
#[derive(Debug)]
pub struct Restorer {
    session: Session,
    name: String,
    task: RestorerTask,
}

impl Restorer {
    /// The sides of pictures are multiples of this.
    pub const MULTIPLE: usize = 8;

    /// How far a pixel of the input can change the output, in pixels. 2 × 2 pixels become one three times,
    /// and there are four kernels of 3 × 3 on half of the size, two on a quarter and three on an eighth.
    /// Rounded up to [`Restorer::MULTIPLE`].
    pub const REACH: usize = 48;

    /// Opens the restorer in a file. It runs on `threads` threads; 0 for all cores.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if it cannot be read, [`Error::NoRestorer`] if it is something else, and
    /// [`Error::Run`] if ONNX Runtime refuses it.
    pub fn from_path(path: &Path, runtime: &Runtime, threads: usize) -> Result<Self> {
        let bytes = read_whole(path, MAX_MODEL_BYTES)?;
        Self::new(&bytes, &path.display().to_string(), runtime, threads)
    }

    /// Opens the restorer in `bytes`; messages use `name`.
    ///
    /// # Errors
    ///
    /// As [`Restorer::from_path`].
    pub fn new(bytes: &[u8], name: &str, runtime: &Runtime, threads: usize) -> Result<Self> {
        let refuse = |reason: String| Error::NoRestorer {
            name: name.to_owned(),
            reason,
        };
        let model = open::read_model(bytes).map_err(refuse)?;
        let task = open::metadata(&model, RESTORER_TASK)
            .ok_or_else(|| refuse("imgsearch train restorer did not write it".to_owned()))?;
        let task = RestorerTask::ALL
            .into_iter()
            .find(|known| known.name() == task)
            .ok_or_else(|| refuse(format!("this version does not know its task {task:?}")))?;
        Ok(Self {
            session: open::session(bytes, name, runtime, threads)?,
            name: name.to_owned(),
            task,
        })
    }

    /// What it was trained for.
    pub fn task(&self) -> RestorerTask {
        self.task
    }

    /// Restores one picture: `[4, height, width]` to `[3, height, width]`, with sides that are multiples of
    /// [`Restorer::MULTIPLE`].
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if the sides or the number of values are wrong, [`Error::Run`] if ONNX
    /// Runtime fails.
    pub fn restore(&mut self, planes: &[f32], [height, width]: [usize; 2]) -> Result<Vec<f32>> {
        let fits = height.is_multiple_of(Self::MULTIPLE) && width.is_multiple_of(Self::MULTIPLE);
        if planes.is_empty() || !fits || planes.len() != 4 * height * width {
            return Err(Error::InvalidInput(format!(
                "{} numbers are no picture of {width} × {height} in 4 planes, with sides that are multiples of {}",
                planes.len(),
                Self::MULTIPLE
            )));
        }
        let failed = |source: ort::Error| Error::Run {
            name: self.name.clone(),
            source: Box::new(source),
        };
        let input = TensorRef::from_array_view(([1, 4, height, width], planes)).map_err(failed)?;
        let outputs = self
            .session
            .run(ort::inputs![PICTURE => input])
            .map_err(failed)?;
        let wrong = |reason: String| Error::NoRestorer {
            name: self.name.clone(),
            reason,
        };
        let value = outputs
            .get(RESTORED)
            .ok_or_else(|| wrong(format!("it gave no output `{RESTORED}`")))?;
        let (shape, values) = value.try_extract_tensor::<f32>().map_err(failed)?;
        if values.len() != 3 * height * width {
            return Err(wrong(format!("it gave `{RESTORED}` the shape {shape:?}")));
        }
        Ok(values.to_vec())
    }
}
