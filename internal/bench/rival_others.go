package bench

import (
	"context"
	"strings"

	"github.com/herald-push/herald"
)

// Rivals are the products that Herald is measured against.
func Rivals() []string { return []string{"mosquitto", "nchan"} }

// checkRival refuses a product that is not known or not installed.
func checkRival(name string) error {
	if name == "" {
		return nil
	}
	return herald.Invalid("against", "Give one of "+strings.Join(Rivals(), ", ")+".", "%q is no product to measure against", name)
}

// startRival starts another product.
func startRival(_ context.Context, _ *Load, name string, _ int) (rival, error) {
	return nil, checkRival(name)
}
