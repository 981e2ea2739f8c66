package live

import (
	"reflect"
	"strings"
	"testing"
)

func TestPlainAck(t *testing.T) {
	many := func(n int) string { return `{"type":"ack","ids":["1"` + strings.Repeat(`,"1"`, n-1) + `]}` }
	for in, n := range map[string]int{
		`{"type":"ack","ids":["245870126268416001"]}`:      1,
		`{"type":"ack","ids":["1","9223372036854775807"]}`: 2,
		many(1000):                                     1000,
		many(1001):                                     0,
		`{"type":"ack","ids":[""]}`:                    0,
		`{"type":"ack","ids":["1",""]}`:                0,
		`{"type":"ack","ids":["1","2]}`:                0,
		`{"type":"ack","ids":["-1"]}`:                  0,
		`{"type":"ack","ids":["01"]}`:                  0,
		`{"type":"ack","ids":["9223372036854775808"]}`: 0,
		`{"type":"ack","ids":["1"],"upto":"x"]}`:       0,
		`{"type":"ack","ids":["1"],"ids":["2"]}`:       0,
		`{"type":"ack","ids":["1"] }`:                  0,
		`{"type":"ack","ids":["`:                       0,
		`{"type":"ack","ids":[]}`:                      0,
		`{"type":"ack","ids":["]}`:                     0,
	} {
		if got := plainAck([]byte(in)); len(got) != n {
			t.Errorf("%.80s: got %d IDs, want %d", in, len(got), n)
		}
	}
}

// FuzzPlainAck holds the short way to read a frame against the long one.
func FuzzPlainAck(f *testing.F) {
	f.Add(`{"type":"ack","ids":["245870126268416001"]}`)
	f.Add(`{"type":"ack","ids":["1","2"]}`)
	f.Add(`{"type":"ack","ids":["1","2"],"ids":["3"]}`)
	f.Fuzz(func(t *testing.T, in string) {
		ids := plainAck([]byte(in))
		if ids == nil {
			return
		}
		got, err := parseClientFrame([]byte(in))
		if err != nil || !reflect.DeepEqual(got, ClientFrame{Type: "ack", IDs: ids}) {
			t.Fatalf("%q is %v in short, and %+v, %v", in, ids, got, err)
		}
	})
}
