package v1

import (
	"context"
	"net/http"
	"reflect"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/strict"
)

// operation is one row of the API: what serves a request and what documents
// it.
type operation struct {
	id          string // in the OpenAPI document and in metrics
	method      string
	path        string
	tag         string
	summary     string
	description string
	status      int // of the good answer; 0 means 200, or 204 without a body

	body      any      // a value of the body's type; nil: the operation reads none
	example   string   // of the body, JSON
	answer    string   // an example of the good answer, JSON
	write     bool     // refused while the node drains
	anonymous bool     // callers without credentials are let through
	upload    []string // media types of a body that is read as it comes, in the place of JSON or beside it
	lines     string   // example of such a body beside JSON
	group     bool     // for groups of apps, and nobody else
	errors    []int    // statuses of its own, beyond those of every operation
	list      any      // a value of a page's type; the operation also exports, see export.go

	// direct serves the request itself: one that comes so often that the way
	// through huma, which only documents it, costs too much.
	direct func(*exchange) error
	most   int64    // bytes of a body that direct reads by itself; 0: it is read before
	media  []string // media types of the body beside JSON

	query   []string // parameters in the address; filled by register
	repeats []string // those of them that may occur more than once
}

// none is the output of an operation that answers without a body.
type none struct{}

// reply is the output of the others.
type reply[T any] struct{ Body T }

// register adds an operation, whose parameters are the fields of I.
func register[I, O any](a *API, op operation, call func(context.Context, *exchange, *I) (*O, error)) {
	ho := huma.Operation{
		OperationID: op.id, Method: op.method, Path: op.path, Summary: op.summary, Description: op.description,
		Tags: []string{op.tag}, DefaultStatus: op.status, SkipValidateParams: true, Security: security(&op),
		Responses: map[string]*huma.Response{"default": {Ref: "#/components/responses/Problem"}},
	}
	huma.Register(a.huma, ho, func(ctx context.Context, in *I) (*O, error) {
		x := exchangeOf(ctx)
		ctx, entry := a.audit(ctx, x, &op, in)
		out, err := call(ctx, x, in)
		if err != nil {
			return nil, a.problem(x, err)
		}
		if entry != nil {
			a.service.Apps.Noted(ctx, entry)
		}
		return out, nil
	})
	a.document(&op)
	a.ops[op.method+" "+muxPath(op.path)] = &op
	if before, verb, ok := cutVerb(op.path); ok {
		a.verbs = append(a.verbs, [2]string{before, verb})
	}
	if op.direct != nil {
		a.direct[op.path] = &op
	}
}

// decode reads the body of an exchange strictly.
func decode[T any](x *exchange) (T, error) {
	var v T
	err := strict.Decode(x.body, &v)
	return v, err
}

// answer makes the output of an operation.
func answer[T any](v T, err error) (*reply[T], error) {
	if err != nil {
		return nil, err
	}
	return &reply[T]{Body: v}, nil
}

// gone makes the output of an operation without a body.
func gone(err error) (*none, error) {
	if err != nil {
		return nil, err
	}
	return &none{}, nil
}

// pageSize is the parameter limit.
type pageSize string

// Schema documents the parameter as the number that it is.
func (pageSize) Schema(huma.Registry) *huma.Schema {
	least, most := 1.0, float64(herald.MaxPageSize)
	return &huma.Schema{Type: huma.TypeInteger, Minimum: &least, Maximum: &most, Default: herald.DefaultPageSize}
}

func (s pageSize) int() (int, error) {
	if s == "" {
		return herald.DefaultPageSize, nil
	}
	n, err := strconv.Atoi(string(s))
	if err != nil || n < 1 || n > herald.MaxPageSize {
		return 0, herald.Invalid("limit", "Write a number from 1 to "+strconv.Itoa(herald.MaxPageSize)+".", "%.20q is not a page size", string(s))
	}
	return n, nil
}

// truth is a parameter that is true or false; empty if it was left out.
type truth string

// Schema documents the parameter as the boolean that it is.
func (truth) Schema(huma.Registry) *huma.Schema { return &huma.Schema{Type: huma.TypeBoolean} }

func (f truth) bool(name string) (*bool, error) {
	switch f {
	case "":
		return nil, nil
	case "true", "false":
		v := f == "true"
		return &v, nil
	}
	return nil, herald.Invalid(name, "Write true or false.", "%.20q is not true or false", string(f))
}

// messageID is a message ID in a path. What is not one names nothing.
func messageID(s string) (herald.MessageID, error) {
	id, err := herald.ParseMessageID(s)
	if err != nil {
		e := herald.Errorf(herald.CodeNotFound, "A message ID is the decimal number that POST /v1/messages answered.", "%.40q is not a message ID", s)
		e.Field = "id"
		return 0, e
	}
	return id, nil
}

// registrationID is a registration ID in a path.
func registrationID(s string) (herald.RegistrationID, error) {
	id := herald.RegistrationID(s)
	if !id.Valid() {
		e := herald.Errorf(herald.CodeNotFound, "A registration ID has 20 characters of 0-9 and a-v; use the one that POST /v1/devices answered.", "%.40q is not a registration ID", s)
		e.Field = "registration_id"
		return "", e
	}
	return id, nil
}

// security says which credentials an operation takes.
func security(op *operation) []map[string][]string {
	if op.group {
		return []map[string][]string{{"group": {}}}
	}
	out := []map[string][]string{{"basic": {}}, {"bearer": {}}}
	if op.anonymous {
		out = append(out, map[string][]string{})
	}
	return out
}

// commonErrors are answered by every operation.
var commonErrors = [...]int{http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests, http.StatusServiceUnavailable}

func typeOf(v any) reflect.Type { return reflect.TypeOf(v) }
