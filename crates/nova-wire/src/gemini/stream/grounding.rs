//! Google's `groundingMetadata`: pages, and which stretches of the text have something from which of them.

use serde_json::Value;

use crate::gemini::text;
use crate::hub::reply::Citation;

/// The pages that a text has something from, once for each stretch of it, else once for all.
pub(super) fn citations(grounding: &Value, said: &str) -> Vec<Citation> {
    let list =
        |name: &str| grounding.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let pages: Vec<Option<Citation>> = list("groundingChunks").iter().map(page).collect();
    let mut cited = Vec::new();
    for support in list("groundingSupports") {
        let span = support.get("segment").and_then(|segment| span(segment, said));
        let used = support.get("groundingChunkIndices").and_then(Value::as_array).into_iter().flatten();
        let used = used.filter_map(|at| pages.get(usize::try_from(at.as_u64()?).ok()?)?.clone());
        cited.extend(used.map(|page| Citation { span, ..page }));
    }
    if cited.is_empty() {
        cited.extend(pages.into_iter().flatten());
    }
    cited
}

fn page(chunk: &Value) -> Option<Citation> {
    let page = chunk.get("web").or_else(|| chunk.get("retrievedContext"))?;
    let title = text(page, "title").unwrap_or_default().to_owned();
    Some(Citation { url: text(page, "uri")?.to_owned(), title, ..Citation::default() })
}

/// A stretch in characters, which Google gives in bytes. One that the text does not have is none.
fn span(segment: &Value, said: &str) -> Option<(usize, usize)> {
    let at = |name: &str| segment.get(name).and_then(Value::as_u64).and_then(|at| usize::try_from(at).ok());
    // What is 0 is left out.
    let (from, to) = (at("startIndex").unwrap_or(0), at("endIndex")?);
    let characters = |to: usize| Some(said.get(..to)?.chars().count());
    characters(from).zip(characters(to)).filter(|(from, to)| from < to)
}
