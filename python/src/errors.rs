//! Errors: from the library's enums to Python's exceptions, which are in `imgsearch/_errors.py`.

use std::error::Error as StdError;

use imgsearch::{Error, index, onnx};
use pyo3::exceptions::{PyKeyboardInterrupt, PyRuntimeError};
use pyo3::prelude::*;

/// The exceptions, by whose turn it is to act. The name is that of the class in Python.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Error,
    BadEncoder,
    BadImage,
    BadQuery,
    DamagedIndex,
    EncoderMismatch,
    ForkedProcess,
    IndexNotFound,
    Locked,
    NewerFormat,
    NoRuntime,
    StorageError,
    TrainingError,
}

/// Returns the exception of a kind.
pub fn error(kind: Kind, message: impl Into<String>) -> PyErr {
    let message = message.into();
    Python::attach(|py| {
        let made = py
            .import("imgsearch._errors")
            .and_then(|errors| errors.getattr(format!("{kind:?}")))
            .and_then(|class| class.call1((&message,)));
        match made {
            Ok(made) => PyErr::from_value(made),
            // While the interpreter shuts down, nothing can be imported.
            Err(_) => PyRuntimeError::new_err(message.clone()),
        }
    })
}

/// Returns the exception of an error of the library.
pub fn raised(failed: impl Into<Error>) -> PyErr {
    let failed = failed.into();
    match kind_of(&failed) {
        Some(kind) => error(kind, failed.to_string()),
        None => PyKeyboardInterrupt::new_err("interrupted"),
    }
}

/// Returns the exception of an error of a part of the program.
pub fn raised_box(failed: Box<dyn StdError>) -> PyErr {
    match failed.downcast::<Error>() {
        Ok(failed) => raised(*failed),
        Err(failed) => error(Kind::BadQuery, failed.to_string()),
    }
}

/// Returns the kind of an error; `None` for an interruption.
fn kind_of(error: &Error) -> Option<Kind> {
    Some(match error {
        Error::Interrupted => return None,
        Error::Index(error) => of_index(error),
        Error::Encoder(error) => of_encoder(error),
        Error::Training(_) | Error::TooFewImages(_) => Kind::TrainingError,
        Error::Image { .. } => Kind::BadImage,
        Error::Io { .. } | Error::NoSuchPath { .. } | Error::NotOurs { .. } => Kind::StorageError,
        Error::EncoderCopy { .. } | Error::NoFeatures { .. } => Kind::BadEncoder,
        Error::UnknownWords(_)
        | Error::NothingShown
        | Error::NoLabels { .. }
        | Error::UnknownNeedsLabels { .. }
        | Error::BadGroups(_)
        | Error::BadWords(_)
        | Error::NoTextTower { .. }
        | Error::BadPattern { .. }
        | Error::BadQuestion(_)
        | Error::BadEvaluation(_)
        | Error::NoSuchImage { .. }
        | Error::NoSimilarity { .. } => Kind::BadQuery,
        _ => Kind::Error,
    })
}

fn of_index(error: &index::Error) -> Kind {
    use index::Error as E;
    match error {
        E::IndexNotFound { .. } => Kind::IndexNotFound,
        E::Locked { .. } => Kind::Locked,
        E::EncoderMismatch { .. } => Kind::EncoderMismatch,
        E::NewerFormat { .. } | E::NewerSegment { .. } => Kind::NewerFormat,
        E::Corrupt { .. } | E::DamagedSegment { .. } => Kind::DamagedIndex,
        E::InvalidInput(_) | E::BadPath { .. } => Kind::BadQuery,
        E::Io { .. } | E::Database { .. } => Kind::StorageError,
        _ => Kind::Error,
    }
}

fn of_encoder(error: &onnx::Error) -> Kind {
    use onnx::Error as E;
    match error {
        E::NoRuntime { .. } | E::BadRuntime { .. } | E::Fetch { .. } | E::NoCuda { .. } => {
            Kind::NoRuntime
        }
        E::Contract { .. } | E::Import { .. } | E::Run { .. } => Kind::BadEncoder,
        E::InvalidInput(_) => Kind::BadQuery,
        E::Io { .. } => Kind::StorageError,
        _ => Kind::Error,
    }
}
