package server

import (
	"context"
	"errors"
	"log/slog"

	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/config"
)

var errTodo = errors.New("server: not written yet")

// Server is one running node.
type Server struct{}

// Open locks the data folder, opens the record, builds the stages and binds
// the listeners, so that the addresses are known. It serves nothing yet.
func Open(ctx context.Context, cfg config.Config, log *slog.Logger) (*Server, error) {
	return nil, errTodo
}

// Run serves until ctx ends, then drains for at most the configured time: not
// ready any more, clients told to come back, accepted work finished.
func (s *Server) Run(ctx context.Context) error { return errTodo }

// Close releases what Open took, for a server that is not run.
func (s *Server) Close() error { return errTodo }

// URL is the base address of the API and the pages, e.g. http://127.0.0.1:7700.
func (s *Server) URL() string { return "" }

// Fresh reports whether Open found an empty data folder.
func (s *Server) Fresh() bool { return false }

// Admin administers this server.
func (s *Server) Admin() api.Admin { return nil }

// Administer opens the administration of a data folder: over the operations
// port of the server that runs on it, or else on the store itself. The
// returned function closes it.
func Administer(ctx context.Context, cfg config.Config) (api.Admin, func() error, error) {
	return nil, nil, errTodo
}
