package smstext

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestAlphabet(t *testing.T) {
	if n := utf8.RuneCountInString(alphabet); n != 128 {
		t.Fatalf("the alphabet has %d characters", n)
	}
	for _, row := range []struct {
		text string
		want []byte
	}{
		{"@", []byte{0}}, {"Hello", []byte("Hello")}, {"$", []byte{2}}, {"_", []byte{0x11}}, {"é", []byte{5}}, {"Ç", []byte{9}},
		{"\n", []byte{0x0a}}, {"\r", []byte{0x0d}}, {"Δ", []byte{0x10}}, {"Ω", []byte{0x15}}, {"Ξ", []byte{0x1a}}, {"Æ", []byte{0x1c}},
		{"¤", []byte{0x24}}, {"'", []byte{0x27}}, {"?", []byte{0x3f}}, {"¡", []byte{0x40}}, {"Z", []byte{0x5a}}, {"Ä", []byte{0x5b}},
		{"§", []byte{0x5f}}, {"¿", []byte{0x60}}, {"z", []byte{0x7a}}, {"à", []byte{0x7f}},
		{"\f", []byte{0x1b, 0x0a}}, {"^", []byte{0x1b, 0x14}}, {"{", []byte{0x1b, 0x28}}, {"}", []byte{0x1b, 0x29}}, {"\\", []byte{0x1b, 0x2f}},
		{"[", []byte{0x1b, 0x3c}}, {"~", []byte{0x1b, 0x3d}}, {"]", []byte{0x1b, 0x3e}}, {"|", []byte{0x1b, 0x40}}, {"€", []byte{0x1b, 0x65}},
		{"", []byte{}},
		{"ç", []byte{0, 0xe7}}, {"`", []byte{0, 0x60}}, {"\x1b", []byte{0, 0x1b}}, {"你", []byte{0x4f, 0x60}}, {"🙂", []byte{0xd8, 0x3d, 0xde, 0x42}},
		{"a你", []byte{0, 'a', 0x4f, 0x60}}, {"\xff", []byte{0xff, 0xfd}}, {"“", []byte{0x20, 0x1c}},
	} {
		got := Split(row.text)
		unicode := len(row.want) > 1 && row.want[0] != escape && row.text != "Hello"
		if len(got.Parts) != 1 || !bytes.Equal(got.Parts[0], row.want) || got.Unicode != unicode {
			t.Errorf("%q: %x, unicode %v; want %x", row.text, got.Parts, got.Unicode, row.want)
		}
		if back := Decode(row.want, unicode); back != strings.ToValidUTF8(row.text, "\ufffd") {
			t.Errorf("%q is read as %q", row.text, back)
		}
	}
}

func TestDecodeStrange(t *testing.T) {
	for _, row := range []struct {
		b       []byte
		unicode bool
		want    string
	}{
		{[]byte{0x80}, false, "\ufffd"}, {[]byte{escape}, false, " "}, {[]byte{escape, escape}, false, " "}, {[]byte{escape, 'a', 'b'}, false, " b"},
		{[]byte{0, 'a', 0}, true, "a\ufffd"}, {[]byte{0xd8, 0x3d}, true, "\ufffd"}, {[]byte{0xde, 0x42, 0xd8, 0x3d}, true, "\ufffd\ufffd"}, {nil, true, ""},
	} {
		if got := Decode(row.b, row.unicode); got != row.want {
			t.Errorf("%x: %q, want %q", row.b, got, row.want)
		}
	}
}

func TestCount(t *testing.T) {
	for _, row := range []struct {
		name, text string
		parts      int
		unicode    bool
	}{
		{"nothing", "", 1, false},
		{"160 characters", strings.Repeat("a", 160), 1, false},
		{"161 characters", strings.Repeat("a", 161), 2, false},
		{"306 characters", strings.Repeat("a", 306), 2, false},
		{"307 characters", strings.Repeat("a", 307), 3, false},
		{"80 of the extension table", strings.Repeat("€", 80), 1, false},
		{"an escape pair at the end", strings.Repeat("a", 159) + "€", 2, false},
		// 153 is odd: a pair does not fit at the end of a part, so each has 76.
		{"152 of the extension table", strings.Repeat("€", 152), 2, false},
		{"153 of the extension table", strings.Repeat("€", 153), 3, false},
		{"70 characters of Chinese", strings.Repeat("文", 70), 1, true},
		{"71 characters of Chinese", strings.Repeat("文", 71), 2, true},
		{"134 characters of Chinese", strings.Repeat("文", 134), 2, true},
		{"135 characters of Chinese", strings.Repeat("文", 135), 3, true},
		{"one Chinese among 70", strings.Repeat("a", 69) + "文", 1, true},
		{"35 pairs", strings.Repeat("🙂", 35), 1, true},
		{"36 pairs", strings.Repeat("🙂", 36), 2, true},
		// 67 is odd: 33 pairs to a part.
		{"66 pairs", strings.Repeat("🙂", 66), 2, true},
		{"67 pairs", strings.Repeat("🙂", 67), 3, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			if parts, unicode := Count(row.text); parts != row.parts || unicode != row.unicode {
				t.Errorf("%d parts, unicode %v; want %d, %v", parts, unicode, row.parts, row.unicode)
			}
		})
	}
}

func TestSplitAs(t *testing.T) {
	if got := SplitAs("a文", false); got.Unicode || !bytes.Equal(got.Parts[0], []byte("a?")) {
		t.Errorf("%+v", got)
	}
	if got := SplitAs("a", true); !got.Unicode || !bytes.Equal(got.Parts[0], []byte{0, 'a'}) {
		t.Errorf("%+v", got)
	}
}

func TestShorten(t *testing.T) {
	for _, row := range []struct {
		name, text string
		parts      int
		want       string
	}{
		{"fits", "hello", 1, "hello"},
		{"no limit", strings.Repeat("a", 1000), 0, strings.Repeat("a", 1000)},
		{"one part", strings.Repeat("a", 161), 1, strings.Repeat("a", 157) + "..."},
		{"two parts", strings.Repeat("a", 500), 2, strings.Repeat("a", 303) + "..."},
		{"two parts of Chinese", strings.Repeat("文", 500), 2, strings.Repeat("文", 133) + "…"},
		{"pairs", strings.Repeat("🙂", 500), 1, strings.Repeat("🙂", 34) + "…"},
		{"escape pairs", strings.Repeat("€", 500), 1, strings.Repeat("€", 78) + "..."},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, cut := Shorten(row.text, row.parts, NeedsUnicode(row.text))
			if got != row.want || cut != (row.want != row.text) {
				t.Errorf("%q, %v", got, cut)
			}
		})
	}
}

func TestHeader(t *testing.T) {
	if got := Header(7, 3, 2); !bytes.Equal(got, []byte{5, 0, 3, 7, 3, 2}) {
		t.Errorf("%x", got)
	}
}

func FuzzSplit(f *testing.F) {
	for _, s := range []string{"", "a", "€", strings.Repeat("🙂x", 90), strings.Repeat("a€", 200), strings.Repeat("文\xff", 70)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := Split(text)
		whole, part := limits(got.Unicode)
		back := strings.Builder{}
		for i, p := range got.Parts {
			if limit := part; len(p) > limit && (len(got.Parts) > 1 || len(p) > whole) {
				t.Fatalf("part %d has %d octets", i, len(p))
			}
			// Each part can be read by itself: nothing is cut in two.
			back.WriteString(Decode(p, got.Unicode))
		}
		if want := strings.ToValidUTF8(text, "\ufffd"); strings.Count(text, "\ufffd") == 0 && utf8.ValidString(text) && back.String() != want {
			t.Fatalf("%q became %q", want, back.String())
		}
		if !bytes.Equal(slices.Concat(got.Parts...), slices.Concat(SplitAs(text, got.Unicode).Parts...)) {
			t.Fatal("it is split in two ways")
		}
		if short, cut := Shorten(text, 1, got.Unicode); cut != (len(got.Parts) > 1) || len(SplitAs(short, got.Unicode).Parts) != 1 {
			t.Fatalf("shortened to %q", short)
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte{escape, escape, 0x65}, false)
	f.Add([]byte{0xd8, 0x3d, 0xde}, true)
	f.Fuzz(func(t *testing.T, b []byte, unicode bool) {
		if got := Decode(b, unicode); !utf8.ValidString(got) {
			t.Fatalf("%x is read as %q", b, got)
		}
	})
}
