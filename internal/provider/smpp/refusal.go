package smpp

import (
	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/wire/smpp"
)

// refusal is the error of a submit that was refused. None is Unregistered: a wrong
// dest_ton has every number be a bad destination, and that a number has nobody is
// said in receipts, by codes of the network's own.
func refusal(answer *smpp.PDU) *provider.Error {
	e := submitRefusal(answer.Status)
	e.Code = answer.Status.String()
	return e
}

func submitRefusal(s smpp.Status) *provider.Error {
	switch s {
	case smpp.Throttled, smpp.QueueFull:
		return &provider.Error{Kind: provider.Throttled, Text: "the service centre wants messages more slowly", Remedy: "Send more slowly, or ask its operator for a higher rate; a smaller window may help."}
	case smpp.SystemError, smpp.TemporaryAppError:
		return &provider.Error{Kind: provider.Unavailable, Text: "the service centre has a fault", Remedy: "Nothing has to be done if it passes."}
	case smpp.BadBindState: // it has lost the session
		return &provider.Error{Kind: provider.Unavailable, Text: "the service centre does not take messages on this session", Remedy: "Check bind of the credential if it goes on."}
	case smpp.BindFailed, smpp.BadPassword, smpp.BadSystemID:
		return &provider.Error{Kind: provider.Unauthorized, Text: "the service centre does not take messages of this account any more", Remedy: "Ask its operator, then check the credential with verify."}
	case smpp.BadMessageLength:
		return &provider.Error{Kind: provider.TooLarge, Text: "the text is too long for the service centre", Remedy: "Send a shorter text, or lower max_parts of the credential."}
	case smpp.BadSource, smpp.BadSourceTON, smpp.BadSourceNPI:
		return &provider.Error{Kind: provider.Rejected, Text: "the service centre does not take the sender", Remedy: "Check source, source_ton and source_npi of the credential: many networks take registered senders only."}
	case smpp.BadDestination, smpp.BadDestinationTON, smpp.BadDestinationNPI:
		return &provider.Error{Kind: provider.Rejected, Text: "the service centre does not take the number", Remedy: "Check the number; if it takes none, check dest_ton and dest_npi of the credential."}
	case smpp.SubmitFailed:
		// The specification does not say why; in use it is for what will not get
		// better by itself: no route to the network, no credit.
		return &provider.Error{Kind: provider.Rejected, Text: "the service centre cannot pass the message on", Remedy: "Ask its operator, with the time and the number."}
	}
	return &provider.Error{Kind: provider.Rejected, Text: "the service centre refuses the message", Remedy: "Look the status up in its operator's documents; those from 0x400 are its own."}
}

// bindRefusal is the error of a session that was refused. What is not known to
// pass is the account's: an address that is not let in, an account that has ended.
func bindRefusal(s smpp.Status) *provider.Error {
	e := &provider.Error{Kind: provider.Unauthorized, Code: s.String(), Text: "the service centre does not let the account in",
		Remedy: "Check system_id, password and bind of the credential, and whether its operator lets this machine's address in."}
	switch s {
	case smpp.BadPassword:
		e.Text = "the password is wrong"
	case smpp.BadSystemID:
		e.Text = "the service centre does not know the system_id"
	case smpp.BadSystemType:
		e.Text, e.Remedy = "the service centre does not take the system_type", "Check system_type of the credential."
	case smpp.AlreadyBound:
		e.Kind, e.Text = provider.Unavailable, "another session of the account is open, and the service centre allows no more"
		e.Remedy = "End the other client, or ask the operator to allow more sessions."
	case smpp.Throttled, smpp.QueueFull:
		e.Kind, e.Text = provider.Throttled, "the service centre wants sessions to be opened more slowly"
	case smpp.SystemError, smpp.TemporaryAppError:
		e.Kind, e.Text, e.Remedy = provider.Unavailable, "the service centre has a fault", "Nothing has to be done if it passes."
	}
	return e
}
