package audience_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/audience"
)

func readPairs(text string) (out []string, err error) {
	err = audience.ReadPairs(strings.NewReader(text), func(p audience.Pair) error {
		line := fmt.Sprintf("%d:%s=%s", p.Number, p.ID, p.Alias)
		if p.Wrong != "" {
			line = fmt.Sprintf("%d wrong", p.Number)
		}
		out = append(out, line)
		return nil
	})
	return out, err
}

func TestReadPairs(t *testing.T) {
	const one, two = "06dbnqfs00v8k3m1p2r4", "06dbnqfs00v8k3m1p2r5"
	for _, tt := range []struct {
		name, text string
		want       []string
		code       herald.Code
	}{
		{"without a header", one + ",anna\n" + two + ",\n", []string{"1:" + one + "=anna", "2:" + two + "="}, ""},
		{"header", "\xef\xbb\xbfname,Alias,registration_id\r\nAnna,\"a,b\"," + one + "\r\n\r\nBen,," + two, []string{"2:" + one + "=a,b", "4:" + two + "="}, ""},
		{"one column", one + "\n" + two + ",b", []string{"1 wrong", "2:" + two + "=b"}, ""},
		{"wrong order", "anna," + one, []string{"1 wrong"}, ""},
		{"bad alias", one + ",a\x01b\n" + one + "," + strings.Repeat("x", 129), []string{"1 wrong", "2 wrong"}, ""},
		{"header without alias", "registration_id,name\n" + one + ",x", nil, herald.CodeInvalidRequest},
		{"header without registration_id", "alias,name\n" + one + ",x", []string{"1 wrong", "2:" + one + "=x"}, ""},
		{"nothing", "", nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := readPairs(tt.text)
			if fmt.Sprint(got) != fmt.Sprint(tt.want) || herald.CodeOf(err) != tt.code {
				t.Errorf("got %v, %v; want %v", got, err, tt.want)
			}
		})
	}
	broken := errors.New("broken")
	if err := audience.ReadPairs(iotest.ErrReader(broken), nil); !errors.Is(err, broken) {
		t.Errorf("an error of the reader: %v", err)
	}
	if err := audience.ReadPairs(strings.NewReader("x,y"), func(audience.Pair) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("an error of each: %v", err)
	}
}

func FuzzReadPairs(f *testing.F) {
	f.Add("registration_id,alias\n06dbnqfs00v8k3m1p2r4,anna\n")
	f.Add("06dbnqfs00v8k3m1p2r4,\"a\"\"b\"\r\n,,\n\"")
	f.Fuzz(func(t *testing.T, text string) {
		last := int64(0)
		_ = audience.ReadPairs(strings.NewReader(text), func(p audience.Pair) error {
			if p.Number <= last {
				t.Fatalf("line %d after %d", p.Number, last)
			}
			last = p.Number
			if p.Wrong == "" && (!p.ID.Valid() || p.Alias != "" && herald.ValidName("alias", string(p.Alias)) != nil) {
				t.Fatalf("taken: %+v", p)
			}
			return nil
		})
	})
}
