package certs

import (
	"context"
	"log/slog"
	"maps"
	"slices"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// zapLogger makes of our log one for the ACME library.
func zapLogger(l *slog.Logger) *zap.Logger { return zap.New(&bridge{log: l}) }

// bridge is a zapcore.Core that writes to a slog.Logger.
type bridge struct{ log *slog.Logger }

func level(l zapcore.Level) slog.Level {
	switch {
	case l >= zapcore.ErrorLevel:
		return slog.LevelError
	case l == zapcore.WarnLevel:
		return slog.LevelWarn
	case l == zapcore.InfoLevel:
		return slog.LevelInfo
	}
	return slog.LevelDebug
}

// Enabled asks the log.
func (b *bridge) Enabled(l zapcore.Level) bool {
	return b.log.Enabled(context.Background(), level(l))
}

// With adds fields to every entry.
func (b *bridge) With(fields []zapcore.Field) zapcore.Core {
	return &bridge{b.log.With(attributes(fields)...)}
}

// Check takes an entry if its level is logged.
func (b *bridge) Check(e zapcore.Entry, c *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if b.Enabled(e.Level) {
		return c.AddCore(e, b)
	}
	return c
}

// Write writes an entry.
func (b *bridge) Write(e zapcore.Entry, fields []zapcore.Field) error {
	b.log.Log(context.Background(), level(e.Level), "acme: "+e.Message, attributes(fields)...)
	return nil
}

// Sync has nothing to do.
func (b *bridge) Sync() error { return nil }

func attributes(fields []zapcore.Field) []any {
	m := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(m)
	}
	out := make([]any, 0, len(m.Fields))
	for _, name := range slices.Sorted(maps.Keys(m.Fields)) {
		out = append(out, slog.Any(name, m.Fields[name]))
	}
	return out
}
