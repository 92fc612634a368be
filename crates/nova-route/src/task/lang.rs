//! The language of a text, by its script and a few common words.

/// How much of a text is looked at, in bytes: its first words are the human's own more often than its last.
const LOOKED_AT: usize = 400;
/// Fewer letters tell nothing.
const FEWEST_LETTERS: u32 = 2;

/// Common words of languages that share a script.
#[rustfmt::skip]
const COMMON: [(&str, &[&str]); 11] = [
    ("en", &["the", "and", "of", "to", "in", "is", "a", "for", "what", "how", "that", "with", "you", "i", "are", "this", "write", "please", "my", "me", "it", "on", "can", "why", "who"]),
    ("de", &["der", "die", "das", "und", "ist", "ein", "eine", "nicht", "ich", "wie", "was", "mit", "für", "auf", "zu", "den", "von", "sie", "bitte", "schreibe", "einen", "mir", "im", "wir"]),
    ("fr", &["le", "la", "les", "des", "et", "est", "un", "une", "je", "pour", "que", "qui", "dans", "en", "du", "sur", "pas", "moi", "quel", "quelle", "comment", "avec", "au", "ce", "vous", "d", "l"]),
    ("es", &["el", "los", "las", "que", "es", "una", "un", "por", "para", "con", "del", "cómo", "qué", "en", "y", "la", "mi", "como", "se", "lo", "su", "sobre", "cuál", "de"]),
    ("pt", &["o", "os", "um", "uma", "que", "para", "com", "não", "do", "da", "em", "é", "como", "por", "no", "na", "qual", "me", "se", "e", "sobre", "você", "seu", "de"]),
    ("it", &["il", "lo", "gli", "che", "di", "un", "una", "per", "con", "non", "come", "è", "e", "della", "del", "sono", "mi", "la", "qual", "perché", "le", "nel"]),
    ("nl", &["de", "het", "een", "en", "van", "is", "niet", "wat", "hoe", "voor", "met", "op", "ik", "zijn", "dat", "te", "mij", "deze", "naar"]),
    ("pl", &["i", "w", "na", "nie", "jest", "się", "z", "do", "jak", "co", "o", "to", "dla", "czy", "napisz", "oraz", "przez"]),
    ("tr", &["ve", "bir", "bu", "için", "ile", "ne", "nasıl", "mı", "mi", "da", "de", "olan", "bana", "yaz"]),
    ("vi", &["là", "và", "của", "một", "cho", "các", "những", "với", "được", "trong", "tôi", "bạn", "có", "không", "viết", "hãy", "về"]),
    ("id", &["yang", "dan", "di", "untuk", "dengan", "ini", "itu", "dari", "adalah", "saya", "apa", "bagaimana", "tidak", "pada", "buatkan"]),
];

/// The language of a text as ISO 639-1 has it; `None` where the text is too short, mixed, or of another one.
pub fn lang(text: &str) -> Option<&'static str> {
    let text = &text[..text.floor_char_boundary(LOOKED_AT)];
    let mut scripts = [0_u32; SCRIPTS.len()];
    let mut latin = 0;
    for letter in text.chars().filter(|letter| letter.is_alphabetic()) {
        if letter.is_ascii() {
            latin += 1;
            continue;
        }
        match SCRIPTS.iter().position(|(_, from, to)| (*from..=*to).contains(&letter)) {
            Some(script) => scripts[script] += 1,
            None => latin += u32::from(letter < '\u{250}'),
        }
    }
    // A Chinese character says as much as a few Latin letters, and kana make the characters beside them Japanese.
    let total = scripts.iter().sum::<u32>();
    if total * 3 > latin && total >= FEWEST_LETTERS {
        let kana: u32 =
            SCRIPTS.iter().zip(scripts).filter(|((name, ..), _)| *name == "ja").map(|(_, n)| n).sum();
        if kana * 10 > total {
            return Some("ja");
        }
        let most = SCRIPTS.iter().zip(scripts).max_by_key(|(_, count)| *count)?;
        return Some(most.0.0);
    }
    common(text)
}

/// Scripts that tell a language, or its likeliest one.
const SCRIPTS: [(&str, char, char); 12] = [
    ("zh", '\u{4e00}', '\u{9fff}'),
    ("ja", '\u{3040}', '\u{30ff}'),
    ("ko", '\u{ac00}', '\u{d7af}'),
    ("ru", '\u{400}', '\u{4ff}'),
    ("ar", '\u{600}', '\u{6ff}'),
    ("hi", '\u{900}', '\u{97f}'),
    ("he", '\u{590}', '\u{5ff}'),
    ("el", '\u{370}', '\u{3ff}'),
    ("th", '\u{e00}', '\u{e7f}'),
    ("bn", '\u{980}', '\u{9ff}'),
    ("ta", '\u{b80}', '\u{bff}'),
    ("zh", '\u{3400}', '\u{4dbf}'),
];

/// The language that has most of a text's words among its common ones, if one is clearly ahead.
fn common(text: &str) -> Option<&'static str> {
    let mut counts = [0_u32; COMMON.len()];
    let mut words = 0_u32;
    for word in text.split(|letter: char| !letter.is_alphabetic()).filter(|word| !word.is_empty()) {
        words += 1;
        let word = word.to_lowercase();
        for (count, (_, common)) in counts.iter_mut().zip(COMMON) {
            *count += u32::from(common.contains(&word.as_str()));
        }
    }
    let (best, (lang, _)) = counts.iter().zip(COMMON).max_by_key(|(count, _)| **count)?;
    let next =
        counts.iter().zip(COMMON).filter(|(_, (other, _))| *other != lang).map(|(count, _)| *count).max()?;
    (*best > next && *best * 12 >= words).then_some(lang)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_told_by_script_and_common_words() {
        let check = |text: &str, is: Option<&str>| assert_eq!(lang(text), is, "{text}");
        check("What is the capital of France?", Some("en"));
        check("Write a function", Some("en"));
        check("写一个函数 in Python", Some("zh"));
        check("お酢についての散文詩を詠んでください", Some("ja"));
        check("다음 스크립트와 같은 기능", Some("ko"));
        check("Напиши стихотворение", Some("ru"));
        check("اكتب قصة قصيرة", Some("ar"));
        check("मुझे एक कहानी सुनाओ", Some("hi"));
        check("Schreibe mir ein Gedicht über den Herbst und die Liebe", Some("de"));
        check("Écris une histoire pour les enfants dans la forêt", Some("fr"));
        check("Escribe un poema sobre el mar y las olas", Some("es"));
        check("Escreva uma história para você e não para o rei", Some("pt"));
        check("Hãy viết một bài thơ về những bông hoa", Some("vi"));
        check("", None);
        check("12345 + 7", None);
        check("xyzzy plugh", None);
    }
}
