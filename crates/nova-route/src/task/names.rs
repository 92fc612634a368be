//! The names of tasks as rules write them, and which of them mean the same or one within another.

/// Names that mean the same, the one that the gateway writes first, and the further tasks that they take in.
struct Family {
    same: &'static [&'static str],
    within: &'static [&'static str],
}

/// `task == "analysis"` holds for a request to summarise, `task == "code"` for one to review code.
#[rustfmt::skip]
const FAMILIES: [Family; 15] = [
    Family { same: &["code", "coding", "programming", "code_generation"], within: &["code_review"] },
    Family { same: &["code_review", "debugging", "refactoring"], within: &[] },
    Family { same: &["math", "mathematics", "calculation"], within: &[] },
    Family { same: &["reasoning", "logic", "complex_reasoning"], within: &["math"] },
    Family { same: &["creative", "creative_writing", "writing"], within: &[] },
    Family { same: &["summarize", "summarise", "summary", "summarization", "summarisation"], within: &["long_document_summary"] },
    Family { same: &["long_document_summary"], within: &[] },
    Family { same: &["translation", "translate"], within: &[] },
    Family { same: &["rewrite", "rewriting", "editing"], within: &["translation"] },
    Family { same: &["extraction", "extract", "classification", "classify"], within: &[] },
    Family { same: &["doc_qa", "document_qa"], within: &["long_document_qa"] },
    Family { same: &["long_document_qa", "long_document", "long_context"], within: &["long_document_summary"] },
    Family { same: &["analysis", "analyze", "analyse", "research", "explain"], within: &["summarize", "long_document_summary"] },
    Family { same: &["chat", "chat_qa", "qa", "question_answering", "conversation"], within: &["analysis"] },
    Family { same: &["multimodal", "vision", "image_understanding"], within: &[] },
];

/// Every name that means what a rule's name means, that name first. A name that nobody knows means itself.
pub(crate) fn meant(name: &str) -> Vec<&str> {
    let mut names = vec![name];
    let Some(family) = family(name) else { return names };
    let within = family.within.iter().filter_map(|name| self::family(name)).flat_map(|family| family.same);
    for meant in family.same.iter().chain(within) {
        if !names.contains(meant) {
            names.push(meant);
        }
    }
    names
}

/// The name that the gateway writes for what a name means; one that nobody knows stands for itself.
pub(crate) fn usual(name: &str) -> &str {
    family(name).map_or(name, |family| family.same[0])
}

fn family(name: &str) -> Option<&'static Family> {
    FAMILIES.iter().find(|family| family.same.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_take_in_what_they_mean_and_no_more() {
        let check = |rule: &str, task: &str, holds: bool| {
            assert_eq!(meant(rule).contains(&task), holds, "{rule}: {task}");
        };
        check("code", "code_review", true);
        check("coding", "code", true);
        check("code_review", "code", false);
        check("analysis", "summarize", true);
        check("summarise", "summarize", true);
        check("reasoning", "math", true);
        check("math", "reasoning", false);
        check("long_document_qa", "long_document_summary", true);
        check("long_document_qa", "doc_qa", false);
        check("rewrite", "translation", true);
        check("chat", "analysis", true);
        check("ours", "ours", true);
        check("ours", "code", false);
    }

    #[test]
    fn families_share_no_name_and_name_what_is_there() {
        let mut all: Vec<&str> = FAMILIES.iter().flat_map(|family| family.same).copied().collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
        for name in FAMILIES.iter().flat_map(|family| family.within) {
            assert!(FAMILIES.iter().any(|family| family.same[0] == *name), "{name}");
        }
    }
}
