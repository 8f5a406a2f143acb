//! Words: how a text and what is searched in it are cut.
//!
//! Both are cut by the same rules, so that an index needs none of its own: lower case, compatible forms folded (NFKC), the
//! accents of Latin, Greek and Cyrillic and the vowel signs of Arabic and Hebrew left out. What is neither letter nor
//! digit parts words. Where a script writes no spaces (Chinese, Japanese, Thai, …) and in Korean each character is a word,
//! so that any part of a text is found. In Arabic the article is left out, and letters that are written for one another
//! are one.
//!
//! A search holds words, all of which a text must hold; one that is cut into several, such as `web_search` or 航班, must
//! stand in the text as it is.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// The number of the rules. An index over words that other rules cut is none: whoever changes what [`cut`] gives, in this
/// file or by another version of what it is made of, counts on.
pub const RULES: u32 = 1;

/// Characters of a word, beyond which the next one begins: what is longer is no word, and an index must bear it.
const WORD_CHARS_MAX: usize = 64;

/// The words of a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words(Vec<String>);

impl Words {
    /// Cuts a search at its spaces.
    #[must_use]
    pub fn of_query(text: &str) -> Self {
        let mut words: Vec<_> = text.split_whitespace().map(cut).filter(|word| !word.is_empty()).collect();
        words.sort();
        words.dedup();
        Self(words)
    }

    /// How many words they are cut into.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.iter().map(|word| word.split(' ').count()).sum()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The words. One that is cut into several holds single spaces.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether a text, cut into words, holds all of them.
    #[must_use]
    pub fn are_in(&self, text: &str) -> bool {
        let text = format!(" {text} ");
        self.0.iter().all(|word| text.contains(&format!(" {word} ")))
    }
}

/// A text as its words, with single spaces between them.
#[must_use]
pub fn cut(text: &str) -> String {
    let (mut words, mut word) = (String::with_capacity(text.len()), String::new());
    let mut chars = 0;
    if text.is_ascii() {
        for byte in text.bytes() {
            take(char::from(byte).to_ascii_lowercase(), &mut word, &mut chars, &mut words);
        }
    } else {
        let folded = text.nfkd().filter(|character| !is_left_out(*character)).nfc();
        for character in folded.flat_map(char::to_lowercase).map(written_for) {
            take(character, &mut word, &mut chars, &mut words);
        }
    }
    end(&mut word, &mut chars, &mut words);
    words
}

/// Takes one character into the word that is under way, or ends the word.
fn take(character: char, word: &mut String, chars: &mut usize, words: &mut String) {
    if is_a_word(character) {
        end(word, chars, words);
        word.push(character);
    } else if is_combining_mark(character) && !word.is_empty() {
        word.push(character);
    } else if character.is_alphanumeric() {
        let alone = word.chars().next().is_some_and(is_a_word);
        if alone || *chars == WORD_CHARS_MAX {
            end(word, chars, words);
        }
        word.push(character);
        *chars += 1;
    } else {
        end(word, chars, words);
    }
}

fn end(word: &mut String, chars: &mut usize, words: &mut String) {
    if !word.is_empty() {
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(stem(word));
        word.clear();
    }
    *chars = 0;
}

/// Accents, and vowel signs that are written or not.
const fn is_left_out(character: char) -> bool {
    matches!(character,
        '\u{300}'..='\u{36f}'
        | '\u{591}'..='\u{5bd}' | '\u{5bf}' | '\u{5c1}'..='\u{5c2}' | '\u{5c4}'..='\u{5c5}' | '\u{5c7}'
        | '\u{610}'..='\u{61a}' | '\u{640}' | '\u{64b}'..='\u{65f}' | '\u{670}' | '\u{6d6}'..='\u{6ed}'
        | '\u{fe00}'..='\u{fe0f}')
}

/// The letter that another is written for.
const fn written_for(character: char) -> char {
    match character {
        'ى' => 'ي',
        'ة' => 'ه',
        other => other,
    }
}

/// Characters of scripts without spaces between words, and symbols that say something.
const fn is_a_word(character: char) -> bool {
    matches!(character,
        '\u{e00}'..='\u{eff}' // Thai, Lao
        | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' // Myanmar, Khmer
        | '\u{2600}'..='\u{27bf}' // symbols
        | '\u{2e80}'..='\u{2fdf}' | '\u{3005}'..='\u{3007}' | '\u{3040}'..='\u{31ff}' // radicals, kana, bopomofo
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}'
        | '\u{1f000}'..='\u{1faff}' // emoji
        | '\u{20000}'..='\u{3ffff}')
        && !matches!(character, '\u{30a0}' | '\u{30fb}')
}

/// An Arabic word without its article.
fn stem(word: &str) -> &str {
    const ARTICLES: [&str; 5] = ["وال", "بال", "كال", "فال", "ال"];
    let rest = ARTICLES.iter().find_map(|article| word.strip_prefix(article));
    rest.filter(|rest| rest.chars().count() >= 3).unwrap_or(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is cut otherwise needs another number.
    #[test]
    fn rules_1_cut_so() {
        let text = "Web_search2 failed: Ünïcode ＦＵＬＬ ﬁne straße İ 'quoted' 3.14 北京へ 서울 ไทย กิน الكِتَابُ المكتبة سيّارة \
                    שָׁלוֹם हिन्दी Ёлка a\u{0}b 🛫 x\u{200d}y";
        let cut = cut(text);
        assert_eq!(
            (RULES, cut.as_str()),
            (
                1,
                "web search2 failed unicode full fine straße i quoted 3 14 北 京 へ 서 울 ไ ท ย ก \u{e34} น كتاب مكتبه سياره שלום हिन\u{94d}दी елка a b 🛫 x y"
            )
        );
        let long = "x".repeat(130);
        assert_eq!(super::cut(&long).split(' ').map(str::len).collect::<Vec<_>>(), [64, 64, 2]);
        assert_eq!(Words::of_query("a-b a-b 北京 z").count(), 5);
    }
}
