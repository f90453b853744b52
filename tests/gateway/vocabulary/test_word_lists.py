"""Lists of words as the code has them."""

from gateway.vocabulary.word_lists import by_word, capitals, listed


def test_words_are_divided_at_white_space():
    assert listed("A B\n  C A") == {"A", "B", "C"}
    assert by_word({"KNEE": "KNEES GENOU", "HIP": "HANCHE"}) == {
        "KNEES": "KNEE",
        "GENOU": "KNEE",
        "HANCHE": "HIP",
    }


def test_capitals_have_no_accents():
    assert capitals("schädel") == "SCHADEL"
    assert capitals("crâne") == "CRANE"
