package provider

import "unicode/utf8"

// ellipsis ends a text that was shortened.
const ellipsis = "…"

// Fit makes the payload of a message whose text may have to be shortened. build
// makes it with a text; what it makes grows with that. Fit gives the one with as
// much of the text as fits into limit bytes, cut between characters and ended by
// an ellipsis, and tells whether it had to. The error is TooLarge if it does not
// fit with no text at all, or one of build.
func Fit(text string, limit int, build func(text string) ([]byte, error)) (payload []byte, shortened bool, err error) {
	payload, err = build(text)
	if err != nil || len(payload) <= limit {
		return payload, false, err
	}
	size := len(payload)
	best := []byte(nil)
	// An escape makes a character of a text longer in the payload, never shorter:
	// the payload is cut by at least what is cut of the text.
	for low, high := 0, len(text); low < high; {
		middle := (low + high) / 2
		cut := runeStart(text, middle)
		b, err := build(shorten(text, cut))
		if err != nil {
			return nil, false, err
		}
		if len(b) <= limit {
			best, low = b, middle+1
		} else {
			high = middle
		}
	}
	if best == nil {
		return nil, false, Errorf(TooLarge, "", "Send less data, and have the app fetch the rest.",
			"%d bytes are more than the vendor's %d, also without a text", size, limit)
	}
	return best, true, nil
}

// Cut gives a text of at most limit bytes: the whole, or what fits of it, cut
// between characters, with an ellipsis; nothing if not even that fits.
func Cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	if limit < len(ellipsis) {
		return ""
	}
	return text[:runeStart(text, limit-len(ellipsis))] + ellipsis
}

// shorten keeps n bytes of a text and says that there was more; nothing is kept
// as nothing.
func shorten(text string, n int) string {
	if n == 0 {
		return ""
	}
	return text[:n] + ellipsis
}

// runeStart is the last place at or before n at which a character begins.
func runeStart(s string, n int) int {
	for n > 0 && n < len(s) && !utf8.RuneStart(s[n]) {
		n--
	}
	return n
}
