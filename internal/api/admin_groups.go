package api

import (
	"context"
	"time"

	"github.com/herald-push/herald"
)

// GroupAdmin is what the operator of a server may do with groups of apps.
type GroupAdmin interface {
	// CreateGroup makes a group with no app in it.
	CreateGroup(ctx context.Context, name string) (GroupSecrets, error)
	// ListGroups lists the groups, oldest first.
	ListGroups(ctx context.Context) ([]GroupSummary, error)
	// ChangeGroup adds apps to a group, and takes others out of it.
	ChangeGroup(ctx context.Context, key herald.GroupKey, change GroupChange) (GroupSummary, error)
	// RotateGroup gives a group a new secret; the old one stays good for a
	// while, or is refused at once.
	RotateGroup(ctx context.Context, key herald.GroupKey, keep time.Duration) (GroupSecrets, error)
	// DeleteGroup removes a group; its apps, and their messages, stay.
	DeleteGroup(ctx context.Context, key herald.GroupKey) error
}

// GroupChange says which apps come to a group and which leave it.
type GroupChange struct {
	Add    []herald.AppKey `json:"add,omitempty"`
	Remove []herald.AppKey `json:"remove,omitempty"`
}

// GroupSecrets is a group with its secret, which is shown this once.
type GroupSecrets struct {
	GroupKey herald.GroupKey `json:"group_key"`
	Name     string          `json:"name"`
	Secret   string          `json:"secret"`
}

// GroupSummary is a group in a list.
type GroupSummary struct {
	GroupKey  herald.GroupKey `json:"group_key"`
	Name      string          `json:"name"`
	CreatedAt time.Time       `json:"created_at"`
	Apps      []herald.AppKey `json:"apps"`
}
