package v1

import (
	"context"
	"net/http"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
)

type aliasInput struct {
	Alias string `path:"alias" minLength:"1" maxLength:"128" doc:"The alias, percent-encoded: / is %2F." example:"user-1001"`
}

type tagInput struct {
	Tag string `path:"tag" minLength:"1" maxLength:"128" doc:"The tag, percent-encoded: / is %2F." example:"vip"`
}

type tagListInput struct {
	Prefix string   `query:"prefix" maxLength:"128" doc:"Only tags that begin with this."`
	Cursor string   `query:"cursor" doc:"next_cursor of the page before."`
	Limit  pageSize `query:"limit" doc:"Tags on a page."`
}

const (
	exampleAlias   = `{"alias":"user-1001","created_at":"2026-11-21T09:30:00Z","devices":[` + exampleDevice + `]}`
	exampleMembers = `{"add":["06dbnqfs00v8k3m1p2r4"],"remove":[]}`
	answerMembers  = `{"added":1,"removed":0,"unknown":[]}`
)

// addNames adds the operations on aliases and tags.
func (a *API) addNames() {
	a.addBindings()
	a.addAliases()
	a.addAddresses()
	register(a, operation{
		id: "listTags", method: "GET", path: "/v1/tags", tag: "Aliases and tags", summary: "List tags",
		description: "Shows the tags in use with the number of their devices, in byte order. Needs the scope `devices:read`.",
		answer:      `{"tags":[{"tag":"vip","devices":120}]}`,
	}, func(ctx context.Context, x *exchange, in *tagListInput) (*reply[api.TagPage], error) {
		limit, err := in.Limit.int()
		if err != nil {
			return nil, err
		}
		return answer(a.service.Devices.Tags(ctx, x.p, in.Prefix, in.Cursor, limit))
	})
	register(a, operation{
		id: "getTag", method: "GET", path: "/v1/tags/{tag}", tag: "Aliases and tags", summary: "Show a tag",
		description: "Shows how many devices have a tag; 404 if none has it. Needs the scope `devices:read`.",
		answer:      `{"tag":"vip","devices":120}`, errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, x *exchange, in *tagInput) (*reply[api.TagView], error) {
		return answer(a.service.Devices.Tag(ctx, x.p, herald.Tag(in.Tag)))
	})
	register(a, operation{
		id: "changeTag", method: "POST", path: "/v1/tags/{tag}", tag: "Aliases and tags", summary: "Put a tag on devices, or take it off", write: true,
		description: "Up to 1,000 registration IDs in `add` and in `remove`, and uploaded lists of up to a million devices in `add_files` and `remove_files`. Needs the scope `devices:write`.",
		body:        api.TagMembers{}, example: exampleMembers, answer: answerMembers,
	}, func(ctx context.Context, x *exchange, in *tagInput) (*reply[api.MembersAnswer], error) {
		m, err := decode[api.TagMembers](x)
		if err != nil {
			return nil, err
		}
		return answer(a.service.Devices.ChangeTag(ctx, x.p, herald.Tag(in.Tag), m))
	})
	register(a, operation{
		id: "deleteTag", method: "DELETE", path: "/v1/tags/{tag}", tag: "Aliases and tags", summary: "Take a tag off all devices", write: true,
		description: "Needs the scope `devices:write`.", errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, x *exchange, in *tagInput) (*none, error) {
		return gone(a.service.Devices.DeleteTag(ctx, x.p, herald.Tag(in.Tag)))
	})
}

func (a *API) addAliases() {
	register(a, operation{
		id: "getAlias", method: "GET", path: "/v1/aliases/{alias}", tag: "Aliases and tags", summary: "Show an alias with its devices",
		description: "Shows the devices that are bound to an alias, at most 100. It is there from its first binding, or from PUT, until it is deleted, also while it has no device. Needs the scope `devices:read`.",
		answer:      exampleAlias, errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, x *exchange, in *aliasInput) (*reply[api.AliasView], error) {
		return answer(a.service.Devices.Alias(ctx, x.p, herald.Alias(in.Alias)))
	})
	register(a, operation{
		id: "putAlias", method: "PUT", path: "/v1/aliases/{alias}", tag: "Aliases and tags", summary: "Make an alias", status: http.StatusCreated, write: true,
		description: "Makes an alias that has no device yet, so that a message to it is not to somebody unknown. What is there already stays as it is. Needs the scope `devices:write`.",
		answer:      exampleAlias,
	}, func(ctx context.Context, x *exchange, in *aliasInput) (*putReply[api.AliasView], error) {
		return put(a.service.Devices.PutAlias(ctx, x.p, herald.Alias(in.Alias)))
	})
	register(a, operation{
		id: "changeAlias", method: "POST", path: "/v1/aliases/{alias}", tag: "Aliases and tags", summary: "Bind devices to an alias, or unbind them", write: true,
		description: "A device has one alias: binding it to another ends the old binding, and what waits for the old one ends as `rebound` there. All of it is one commit: where the alias would get more than 100 devices nothing is changed. Needs the scope `devices:write`.",
		body:        api.Members{}, example: exampleMembers, answer: answerMembers,
	}, func(ctx context.Context, x *exchange, in *aliasInput) (*reply[api.MembersAnswer], error) {
		m, err := decode[api.Members](x)
		if err != nil {
			return nil, err
		}
		return answer(a.service.Devices.ChangeAlias(ctx, x.p, herald.Alias(in.Alias), m))
	})
	register(a, operation{
		id: "deleteAlias", method: "DELETE", path: "/v1/aliases/{alias}", tag: "Aliases and tags", summary: "Delete an alias", write: true,
		description: "Unbinds all its devices and forgets the alias. Needs the scope `devices:write`.", errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, x *exchange, in *aliasInput) (*none, error) {
		return gone(a.service.Devices.DeleteAlias(ctx, x.p, herald.Alias(in.Alias)))
	})
}
