//! The file of a picture, as an option.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};

use crate::report::{PictureFormat, PicturePath};

/// As an option takes it, for pictures of these kinds.
pub(super) fn picture_path(
    forms: &'static [PictureFormat],
) -> impl TypedValueParser<Value = PicturePath> {
    OsStringValueParser::new().try_map(|text: OsString| {
        let path = PathBuf::from(text);
        match PictureFormat::from_path(&path).filter(|form| forms.contains(form)) {
            Some(form) => Ok(PicturePath { path, format: form }),
            None => {
                let endings: Vec<_> = forms.iter().map(|form| form.extension()).collect();
                let endings = endings.join(" or ");
                Err(format!("which kind of picture? Let the name end in {endings}"))
            }
        }
    })
}
