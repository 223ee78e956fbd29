//! English words that say nothing of what a text is about.

/// The words, in lower case and sorted. Parts of words at an apostrophe are words, too: `don't` is `don` and `t`.
const STOP_WORDS: &str = "a about above after again against all also although am among an and another any anyone \
    anything are aren as at be became because been before being below between both but by can cannot could couldn d did \
    didn do does doesn doing don done down during each either else etc even ever every everything few for from further \
    get gets go had hadn has hasn have haven having he hence her here hers herself him himself his how however i if in \
    into is isn it its itself just let like ll m many may me might more most much must my myself neither no nor not \
    nothing now of off often on once one only or other others our ours ourselves out over own per quite rather re s same \
    shall she should shouldn since so some something still such t than that the their theirs them themselves then there \
    therefore these they this those though through thus to too two under until up upon us use used uses using ve very \
    via was wasn we well were weren what when where whether which while who whom whose why will with within without won \
    would wouldn yet you your yours yourself yourselves";

/// Returns whether a word, in lower case, says nothing.
pub(super) fn is_stop_word(word: &str) -> bool {
    STOP_WORDS.split_ascii_whitespace().any(|stop| stop == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_sorted_and_found() {
        let words: Vec<&str> = STOP_WORDS.split_ascii_whitespace().collect();
        assert!(words.is_sorted());
        assert!(is_stop_word("a") && is_stop_word("yourselves") && is_stop_word("the"));
        assert!(!is_stop_word("train"));
    }
}
