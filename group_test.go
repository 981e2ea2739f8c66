package herald_test

import (
	"strings"
	"testing"

	"github.com/herald-push/herald"
)

func TestGroupKey(t *testing.T) {
	rest := "k3x9q0a7c5m2p8r1t6v4w0z2"
	for _, tt := range []struct {
		name  string
		key   string
		valid bool
	}{
		{"as it is", "group-" + rest, true},
		{"an app key", rest, false},
		{"short", "group-" + rest[1:], false},
		{"long", "group-" + rest + "0", false},
		{"capitals", "group-" + strings.ToUpper(rest), false},
		{"another prefix", "Group-" + rest, false},
		{"empty", "", false},
		{"new", string(herald.NewGroupKey()), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := herald.GroupKey(tt.key).Valid(); got != tt.valid {
				t.Errorf("valid is %v", got)
			}
			if tt.valid && herald.AppKey(tt.key).Valid() {
				t.Error("it could be taken for an app key")
			}
		})
	}
}
