//! How a published model wants its texts: the length, the token that pads, small letters.

use serde_json::Value;

use super::config::Configs;
use crate::text::TextInfo;

/// More tokens than this are no length that a model states, but one that stands for any.
const MAX_STATED: u64 = 4096;

/// Texts of CLIP have 77 tokens; those of SigLIP have 64.
const CLIP: usize = 77;
const SIGLIP: usize = 64;

/// What is said about texts, without a mean. The error says what is missing.
///
/// `fixed` is the length that the graph fixes, `id` the number of a token.
pub(super) fn describe(
    configs: &Configs,
    tokenizer: String,
    fixed: Option<usize>,
    id: impl Fn(&str) -> Option<u32>,
) -> Result<TextInfo, String> {
    let stated = |value: &Value| {
        let length = value
            .as_u64()
            .filter(|length| (2..=MAX_STATED).contains(length));
        length.and_then(|length| usize::try_from(length).ok())
    };
    let siglip = configs.model_type().starts_with("siglip");
    let length = fixed
        .or_else(|| stated(&configs.config["text_config"]["max_position_embeddings"]))
        .or_else(|| stated(&configs.tokenizer["model_max_length"]))
        .unwrap_or(if siglip { SIGLIP } else { CLIP });
    let parsed: Value = serde_json::from_str(&tokenizer).unwrap_or_default();
    let named = [
        &configs.tokenizer["pad_token"],
        &configs.special_tokens["pad_token"],
    ];
    let named = named
        .into_iter()
        .find_map(|token| token.as_str().or_else(|| token["content"].as_str()));
    let number = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
    let pad = match named {
        Some(token) => id(token).ok_or_else(|| {
            format!("the pad_token is {token:?}, which tokenizer.json does not know; download both files of one model")
        })?,
        None => number(&parsed["padding"]["pad_id"])
            .or_else(|| number(&configs.config["text_config"]["pad_token_id"]))
            .or_else(|| number(&configs.config["pad_token_id"]))
            .ok_or("nothing says which token pads texts; download tokenizer_config.json, too")?,
    };
    Ok(TextInfo {
        length,
        pad,
        lowercase: configs.tokenizer["do_lower_case"]
            .as_bool()
            .unwrap_or(siglip),
        tokenizer,
        dim: 0,
        mean: Vec::new(),
        fingerprint: String::new(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(configs: &Configs, tokenizer: &Value) -> Result<(usize, u32, bool), String> {
        let id = |token: &str| match token {
            "</s>" => Some(1),
            "<|endoftext|>" => Some(49407),
            _ => None,
        };
        let info = describe(configs, tokenizer.to_string(), None, id)?;
        Ok((info.length, info.pad, info.lowercase))
    }

    #[test]
    fn published_ways_to_pad_are_read() {
        let clip = Configs {
            config: json!({"model_type": "clip", "text_config": {"pad_token_id": 1}}),
            tokenizer: json!({"model_max_length": 77, "pad_token": {"content": "<|endoftext|>"}}),
            ..Configs::default()
        };
        assert_eq!(of(&clip, &json!({})), Ok((77, 49407, false)));
        let siglip = Configs {
            config: json!({"model_type": "siglip"}),
            tokenizer: json!({"model_max_length": 64, "pad_token": "</s>", "do_lower_case": true}),
            ..Configs::default()
        };
        assert_eq!(of(&siglip, &json!({})), Ok((64, 1, true)));
        let siglip2 = Configs {
            config: json!({"model_type": "siglip2"}),
            tokenizer: json!({"model_max_length": 1e30}),
            ..Configs::default()
        };
        assert_eq!(
            of(&siglip2, &json!({"padding": {"pad_id": 0}})),
            Ok((64, 0, true))
        );
        assert!(
            of(&siglip2, &json!({}))
                .unwrap_err()
                .contains("tokenizer_config.json")
        );
        let other = Configs {
            special_tokens: json!({"pad_token": "[PAD]"}),
            ..Configs::default()
        };
        assert!(of(&other, &json!({})).unwrap_err().contains("[PAD]"));
    }
}
