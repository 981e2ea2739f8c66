package v1

import (
	"context"
	"net/http"

	"github.com/herald-push/herald/internal/api"
)

const (
	credentialExample   = `{"id":"crd_4kq2tz7dgy3bn6mrwx5j1c8ahe","vendor":"apns","environment":"","name":"","values":{"topic":"com.example.shop","key_id":"ABC123DEFG","team_id":"DEF123GHIJ"},"state":"good","verified_at":"2026-11-21T09:30:00Z","created_at":"2026-11-21T09:29:58Z","updated_at":"2026-11-21T09:29:58Z"}` //nolint:gosec // an example, of nobody
	credentialReadNote  = " Needs the scope `credentials:read`."
	credentialWriteNote = " Needs the scope `credentials:write`."
)

type credentialInput struct {
	ID string `path:"id" minLength:"1" maxLength:"64" doc:"ID of the credential, as POST /v1/credentials answered." example:"crd_4kq2tz7dgy3bn6mrwx5j1c8ahe"`
}

// addCredentials adds the operations on credentials of vendors.
func (a *API) addCredentials() {
	register(a, operation{
		id: "listVendors", method: "GET", path: "/v1/vendors", tag: "Credentials", summary: "List vendors",
		description: "Shows the vendors that the server knows, and what a credential of each consists of." + credentialReadNote,
		answer:      `{"vendors":[{"name":"fcm","environments":[],"fields":[{"name":"service_account","secret":true,"needed":true,"help":"The JSON file of a service account of the Firebase project that may send messages."}]}]}`,
	}, func(ctx context.Context, x *exchange, _ *none) (*reply[api.VendorList], error) {
		return answer(a.service.Credentials.Vendors(ctx, x.p))
	})
	register(a, operation{
		id: "createCredential", method: "POST", path: "/v1/credentials", tag: "Credentials", summary: "Add a credential", status: http.StatusCreated, write: true,
		description: "Keeps what the app has of a vendor: a key, an account, an address. Secrets are sealed and never shown again. There is one of a vendor, environment and name; an app has at most 100. " +
			"The vendor is only asked with `verify`; else `verified_at` is null until somebody asks or a message goes out." + credentialWriteNote,
		body:    api.CredentialRequest{},
		example: `{"vendor":"apns","values":{"topic":"com.example.shop","key_id":"ABC123DEFG","team_id":"DEF123GHIJ","key":"-----BEGIN PRIVATE KEY-----\n…\n-----END PRIVATE KEY-----\n"},"verify":true}`,
		answer:  credentialExample, errors: []int{http.StatusConflict},
	}, func(ctx context.Context, x *exchange, _ *none) (*reply[api.CredentialView], error) {
		req, err := decode[api.CredentialRequest](x)
		if err != nil {
			return nil, err
		}
		return answer(a.service.Credentials.Create(ctx, x.p, req))
	})
	register(a, operation{
		id: "listCredentials", method: "GET", path: "/v1/credentials", tag: "Credentials", summary: "List credentials",
		description: "Shows the credentials of the app and how they stand, without their secrets." + credentialReadNote, answer: `{"credentials":[` + credentialExample + `]}`,
	}, func(ctx context.Context, x *exchange, _ *none) (*reply[api.CredentialList], error) {
		return answer(a.service.Credentials.List(ctx, x.p))
	})
	a.addCredential()
}

// addCredential adds the operations on one of them.
func (a *API) addCredential() {
	register(a, operation{
		id: "getCredential", method: "GET", path: "/v1/credentials/{id}", tag: "Credentials", summary: "Show a credential",
		description: "Shows a credential and how it stands, without its secrets." + credentialReadNote, answer: credentialExample, errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, x *exchange, in *credentialInput) (*reply[api.CredentialView], error) {
		return answer(a.service.Credentials.Get(ctx, x.p, in.ID))
	})
	register(a, operation{
		id: "updateCredential", method: "PATCH", path: "/v1/credentials/{id}", tag: "Credentials", summary: "Change a credential", write: true,
		description: "Changes the values that are named; the others, secrets too, stay as they are. Its vendor, environment and name stay. What was begun with the former values is finished with them." + credentialWriteNote,
		body:        api.CredentialUpdate{}, example: `{"values":{"key_id":"HIJ456KLMN","key":"-----BEGIN PRIVATE KEY-----\n…\n-----END PRIVATE KEY-----\n"},"verify":true}`,
		answer: credentialExample, errors: []int{http.StatusNotFound, http.StatusConflict},
	}, func(ctx context.Context, x *exchange, in *credentialInput) (*reply[api.CredentialView], error) {
		req, err := decode[api.CredentialUpdate](x)
		if err != nil {
			return nil, err
		}
		return answer(a.service.Credentials.Update(ctx, x.p, in.ID, req))
	})
	register(a, operation{
		id: "verifyCredential", method: "POST", path: "/v1/credentials/{id}/verify", tag: "Credentials", summary: "Verify a credential", write: true,
		description: "Asks the vendor, with a call that reaches nobody, whether it takes the credential, for at most 20 seconds. What it says is kept, and is in the answer: `problem` says what is wrong, and what to do about it. " +
			"A credential of a vendor that has no such call cannot be verified, which is answered with 409." + credentialWriteNote,
		answer: credentialExample, errors: []int{http.StatusNotFound, http.StatusConflict},
	}, func(ctx context.Context, x *exchange, in *credentialInput) (*reply[api.CredentialView], error) {
		return answer(a.service.Credentials.Verify(ctx, x.p, in.ID))
	})
	register(a, operation{
		id: "deleteCredential", method: "DELETE", path: "/v1/credentials/{id}", tag: "Credentials", summary: "Delete a credential", write: true,
		description: "Deletes a credential. What was begun with it is finished." + credentialWriteNote, errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, x *exchange, in *credentialInput) (*none, error) {
		return gone(a.service.Credentials.Delete(ctx, x.p, in.ID))
	})
}
