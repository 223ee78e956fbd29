//! Pictures laid on each other in a contact sheet, to show where they differ, without scripts: a box is ticked, and style
//! sheets do the rest.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::sheet::{Group, Picture};

/// How a picture of a sheet lies on another one of its group.
#[derive(Debug, Clone, PartialEq)]
pub struct Overlay {
    /// The width of the lower picture, divided by its height.
    pub shape: f32,
    /// Where it lies: `[a, b, c, d, e, f]`, by which its place `(x, y)` is `(a x + b y + c, d x + e y + f)` in the lower
    /// picture. Places count from 0 to 1 in both, from the left and from the top.
    pub place: [f32; 6],
}

impl Overlay {
    /// Returns the beginning of the box that shows both. `</span>` ends it.
    pub(super) fn start(&self) -> String {
        let Self { shape, place } = self;
        let [a, b, c, d, e, f] = place;
        let corners = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]].map(|[x, y]: [f32; 2]| {
            let percent = |value: f32| format!("{:.2}%", 100.0 * value.clamp(0.0, 1.0));
            percent(a * x + b * y + c) + " " + &percent(d * x + e * y + f)
        });
        // What lies beside the shared part would only distract.
        format!(
            "<span class=\"over {}\" style=\"--shape:{shape:.4};--part:polygon({});--place:translate({:.3}%,{:.3}%) \
             matrix({a:.5},{:.5},{:.5},{e:.5},0,0)\">",
            if *shape < 1.0 { "high" } else { "wide" },
            corners.join(","),
            c * 100.0,
            f * 100.0,
            d / shape,
            b * shape,
        )
    }
}

/// Returns what comes before a group's pictures, and the attribute of its section, if some of them are to be laid on the
/// one at `under`.
pub(super) fn switch(group: &Group, number: usize) -> Option<(String, String)> {
    let Picture::Jpeg(under) = &group.items.get(group.under?)?.picture else {
        return None;
    };
    let is_shown = |picture: &Picture| matches!(picture, Picture::Jpeg(_));
    let laid = |item: &super::sheet::Item| item.overlay.is_some() && is_shown(&item.picture);
    if !group.items.iter().any(laid) {
        return None;
    }
    let mut style = " style=\"--under:url(data:image/jpeg;base64,".to_owned();
    STANDARD.encode_string(under, &mut style);
    style.push_str(")\"");
    let input = format!(
        "<input class=\"switch\" type=\"checkbox\" id=\"d{number}\"><label for=\"d{number}\">Show what differs: \
         black where both are equal, the rest four times as strong</label>\n"
    );
    Some((style, input))
}

#[cfg(test)]
mod tests {
    use super::super::sheet::{Item, Sheet};
    use super::*;

    fn group(under: Option<usize>) -> Group {
        let mut best = Item::at("/best.jpg".as_ref());
        best.picture = Picture::Jpeg(vec![1, 2, 3]);
        let mut other = Item::at("/other.jpg".as_ref());
        other.picture = Picture::Jpeg(vec![4, 5, 6]);
        // The middle quarter of a picture that is twice as wide as it is high.
        other.overlay = Some(Overlay {
            shape: 2.0,
            place: [0.5, 0.0, 0.25, 0.0, 0.5, 0.25],
        });
        Group {
            items: vec![best, other],
            under,
            ..Group::default()
        }
    }

    #[test]
    fn pictures_lie_where_they_were_cut_out() {
        let sheet = |group| Sheet {
            title: "Copies".to_owned(),
            groups: vec![group],
        };
        let page = sheet(group(Some(0))).to_html();
        assert!(page.contains("<section style=\"--under:url(data:image/jpeg;base64,AQID)\">"));
        assert!(page.contains("<input class=\"switch\" type=\"checkbox\" id=\"d0\">"));
        assert!(
            page.contains(
                "--part:polygon(25.00% 25.00%,75.00% 25.00%,75.00% 75.00%,25.00% 75.00%)"
            )
        );
        assert!(
            page.contains("translate(25.000%,25.000%) matrix(0.50000,0.00000,0.00000,0.50000,0,0)")
        );
        assert_eq!(page.matches("class=\"over wide\"").count(), 1);
        // Nothing to lie on.
        let page = sheet(group(None)).to_html();
        assert!(!page.contains("checkbox") && !page.contains("--under:url"));
    }
}
