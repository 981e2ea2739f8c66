package v1

import (
	"context"
	"net/http"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
)

const exampleAddresses = `{"alias":"user-1001","addresses":[{"kind":"phone","token":"+8613800138000","registered_at":"2026-11-21T09:30:00Z"},{"kind":"email","token":"old@example.com","registered_at":"2026-11-01T08:00:00Z","invalid_at":"2026-11-20T10:00:00Z","reason":"replaced"}]}`

// addressInput are the parameters of the operation on one address.
type addressInput struct {
	Alias string `path:"alias" minLength:"1" maxLength:"128" doc:"The alias, percent-encoded: / is %2F." example:"user-1001"`
	Kind  string `path:"kind" enum:"phone,email,openid,chat" doc:"Which of the recipient's addresses." example:"phone"`
}

// addAddresses adds the operations on addresses of recipients. Those of devices
// are part of their devices.
func (a *API) addAddresses() {
	register(a, operation{
		id: "getAddresses", method: "GET", path: "/v1/recipients/{alias}/addresses", tag: "Aliases and tags", summary: "Show the addresses of a recipient",
		description: "Shows where a person is reached beside devices: a telephone number, a mail address, a mini program, a chat. Needs the scope `devices:read`.",
		answer:      exampleAddresses, errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, x *exchange, in *aliasInput) (*reply[api.RecipientAddresses], error) {
		return answer(a.service.Devices.Addresses(ctx, x.p, herald.Alias(in.Alias)))
	})
	register(a, operation{
		id: "putAddresses", method: "PUT", path: "/v1/recipients/{alias}/addresses", tag: "Aliases and tags", summary: "Register addresses of a recipient", write: true,
		description: "A recipient has one address of each kind; kinds that are absent stay as they are. It is made if nobody has the alias yet. " +
			"A number, a mail address or an openid leads to who registered it last: at another recipient it ends as `moved`. Rooms of a chat may be shared. Needs the scope `devices:write`.",
		body: api.RecipientAddressesRequest{}, example: `{"phone":"+8613800138000","email":"anna@example.com"}`, answer: exampleAddresses,
	}, func(ctx context.Context, x *exchange, in *aliasInput) (*reply[api.RecipientAddresses], error) {
		req, err := decode[api.RecipientAddressesRequest](x)
		if err != nil {
			return nil, err
		}
		return answer(a.service.Devices.PutAddresses(ctx, x.p, herald.Alias(in.Alias), req))
	})
	register(a, operation{
		id: "deleteAddress", method: "DELETE", path: "/v1/recipients/{alias}/addresses/{kind}", tag: "Aliases and tags", summary: "Take an address away from a recipient", write: true,
		description: "Nothing is sent there from now on. Needs the scope `devices:write`.", errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, x *exchange, in *addressInput) (*none, error) {
		return gone(a.service.Devices.DeleteAddress(ctx, x.p, herald.Alias(in.Alias), in.Kind))
	})
}
