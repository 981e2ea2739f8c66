package smtp

import (
	"time"

	"github.com/herald-push/herald/internal/provider"
)

// Refusal reads a reply, for a fuzz test.
func Refusal(at string, code int, text string) *provider.Error {
	return refusal(stage(at), code, text)
}

// SetIdle shortens how long connections wait.
func SetIdle(p provider.Provider, d time.Duration) { p.(*Provider).pool.wait = d }
