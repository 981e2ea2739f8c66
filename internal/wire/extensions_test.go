package wire

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/herald-push/herald"
)

// offer makes the headers of a handshake.
func offer(lines ...string) http.Header { return http.Header{"Sec-Websocket-Extensions": lines} }

// written writes extensions in one form.
func written(list []Extension) string {
	var out []string
	for _, e := range list {
		s := e.Name
		for _, p := range e.Params {
			if s += ";" + p.Name; p.HasValue {
				s += fmt.Sprintf("=%q", p.Value)
			}
		}
		out = append(out, s)
	}
	return strings.Join(out, ",")
}

func TestParseExtensions(t *testing.T) {
	const malformed = "malformed"
	for _, c := range []struct {
		name string
		in   []string
		want string
	}{
		{"none", nil, ""},
		{"empty", []string{""}, ""},
		{"a name", []string{"foo"}, "foo"},
		{"the example of RFC 6455 section 9.1", []string{"foo", "bar; baz=2"}, `foo,bar;baz="2"`},
		{"the same in one header", []string{"foo, bar; baz=2"}, `foo,bar;baz="2"`},
		{"parameters", []string{"a;b;c=d;e=f"}, `a;b;c="d";e="f"`},
		{"blanks", []string{"\t a ; b =\tc , d"}, `a;b="c",d`},
		{"quoted", []string{`a; b="10"`}, `a;b="10"`},
		{"quoted with backslashes", []string{`a; b="\1\0"`}, `a;b="10"`},
		{"empty elements", []string{", a,, b,"}, "a,b"},
		{"every byte of a token", []string{"az09AZ!#$%&'*+-.^_`|~"}, "az09AZ!#$%&'*+-.^_`|~"},

		{"a parameter without a name", []string{"a;"}, malformed},
		{"a parameter without a name, then another", []string{"a;;b"}, malformed},
		{"a value that is not there", []string{"a; b="}, malformed},
		{"an empty value in quotes", []string{`a; b=""`}, malformed},
		{"a value in quotes that is no token", []string{`a; b="c d"`}, malformed},
		{"the same behind a backslash", []string{`a; b="c\"d"`}, malformed},
		{"quotes that do not end", []string{`a; b="c`}, malformed},
		{"quotes that end in a backslash", []string{`a; b="c\`}, malformed},
		{"something after the quotes", []string{`a; b="c"d`}, malformed},
		{"a name in quotes", []string{`"a"`}, malformed},
		{"two names", []string{"a b"}, malformed},
		{"a value of an extension", []string{"a=b"}, malformed},
		{"another alphabet", []string{"ä"}, malformed},
		{"a good header beside a bad one", []string{"a", ";"}, malformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			list, err := ParseExtensions(offer(c.in...))
			got := written(list)
			if err != nil {
				if herald.CodeOf(err) != herald.CodeInvalidRequest || list != nil {
					t.Fatalf("%v with %s", err, got)
				}
				got = malformed
			}
			if got != c.want {
				t.Fatalf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestAcceptDeflate(t *testing.T) {
	const (
		declined = ""
		accepted = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
		window15 = accepted + "; server_max_window_bits=15"
	)
	for _, c := range []struct{ name, offer, want string }{
		{"nothing", "", declined},
		{"another extension", "x-webkit-deflate-frame", declined},
		{"another case", "Permessage-Deflate", declined},
		{"bare", "permessage-deflate", accepted},
		{"of browsers", "permessage-deflate; client_max_window_bits", accepted},
		{"all that is known", "permessage-deflate; client_max_window_bits=10; server_max_window_bits=15; client_no_context_takeover; server_no_context_takeover", window15},
		{"behind another extension", "foo; bar, permessage-deflate", accepted},

		{"server_max_window_bits of 15", "permessage-deflate; server_max_window_bits=15", window15},
		{"the same in quotes", `permessage-deflate; server_max_window_bits="15"`, window15},
		{"server_max_window_bits of 14", "permessage-deflate; server_max_window_bits=14", declined},
		{"server_max_window_bits without a value", "permessage-deflate; server_max_window_bits", declined},
		{"server_max_window_bits with a zero before it", "permessage-deflate; server_max_window_bits=015", declined},

		{"client_max_window_bits of 8", "permessage-deflate; client_max_window_bits=8", accepted},
		{"client_max_window_bits of 15", "permessage-deflate; client_max_window_bits=15", accepted},
		{"client_max_window_bits of 7", "permessage-deflate; client_max_window_bits=7", declined},
		{"client_max_window_bits of 16", "permessage-deflate; client_max_window_bits=16", declined},
		{"client_max_window_bits with a zero before it", "permessage-deflate; client_max_window_bits=08", declined},
		{"client_max_window_bits with a sign", "permessage-deflate; client_max_window_bits=+8", declined},
		{"client_max_window_bits that is no number", "permessage-deflate; client_max_window_bits=x", declined},

		{"server_no_context_takeover with a value", "permessage-deflate; server_no_context_takeover=1", declined},
		{"client_no_context_takeover with a value", "permessage-deflate; client_no_context_takeover=1", declined},
		{"an unknown parameter", "permessage-deflate; foo", declined},
		{"a parameter twice", "permessage-deflate; client_max_window_bits; client_max_window_bits", declined},
		{"a parameter twice, with other values", "permessage-deflate; client_max_window_bits=9; client_max_window_bits=10", declined},

		{"the second offer", "permessage-deflate; server_max_window_bits=10, permessage-deflate; client_max_window_bits", accepted},
		{"the first of two", "permessage-deflate; server_max_window_bits=15, permessage-deflate", window15},
	} {
		t.Run(c.name, func(t *testing.T) {
			list, err := ParseExtensions(offer(c.offer))
			if err != nil {
				t.Fatal(err)
			}
			if got := AcceptDeflate(list); got != c.want {
				t.Fatalf("answer %q, want %q", got, c.want)
			}
		})
	}
}

func FuzzExtensions(f *testing.F) {
	f.Add("permessage-deflate; client_max_window_bits, permessage-deflate")
	f.Add(`a; b="c\d"; e =f,, g`)
	f.Add(`permessage-deflate; server_max_window_bits="15"`)
	f.Fuzz(func(t *testing.T, in string) {
		list, err := ParseExtensions(offer(in))
		if err != nil {
			return
		}
		again, err := ParseExtensions(offer(written(list)))
		if err != nil || !reflect.DeepEqual(list, again) {
			t.Fatalf("%q is read as %s, and that as %s, %v", in, written(list), written(again), err)
		}
		answer, err := ParseExtensions(offer(AcceptDeflate(list)))
		if err != nil || len(answer) > 1 {
			t.Fatalf("%q is answered with %q", in, AcceptDeflate(list))
		}
	})
}
