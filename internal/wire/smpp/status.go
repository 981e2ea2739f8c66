package smpp

import "fmt"

// Status is what a response says of its request (section 5.1.3).
type Status uint32

// The states that somebody acts on; the rest have only names.
const (
	OK                Status = 0x00
	BadMessageLength  Status = 0x01
	BadCommandLength  Status = 0x02
	BadCommand        Status = 0x03
	BadBindState      Status = 0x04
	AlreadyBound      Status = 0x05
	SystemError       Status = 0x08
	BadSource         Status = 0x0a
	BadDestination    Status = 0x0b
	BindFailed        Status = 0x0d
	BadPassword       Status = 0x0e
	BadSystemID       Status = 0x0f
	QueueFull         Status = 0x14
	BadServiceType    Status = 0x15
	BadClass          Status = 0x43
	SubmitFailed      Status = 0x45
	BadSourceTON      Status = 0x48
	BadSourceNPI      Status = 0x49
	BadDestinationTON Status = 0x50
	BadDestinationNPI Status = 0x51
	BadSystemType     Status = 0x53
	Throttled         Status = 0x58
	BadValidity       Status = 0x62
	TemporaryAppError Status = 0x64
	PermanentAppError Status = 0x65
	RefusedByApp      Status = 0x66
	BadTLVs           Status = 0xc0
	DeliveryFailed    Status = 0xfe
	UnknownError      Status = 0xff
)

// String is the name in the specification, with the number: documents of
// operators have one or the other.
func (s Status) String() string {
	if name := s.name(); name != "" {
		return fmt.Sprintf("%s 0x%02X", name, uint32(s))
	}
	return fmt.Sprintf("0x%02X", uint32(s))
}

func (s Status) name() string {
	switch s {
	case OK:
		return "ESME_ROK"
	case BadMessageLength:
		return "ESME_RINVMSGLEN"
	case BadCommandLength:
		return "ESME_RINVCMDLEN"
	case BadCommand:
		return "ESME_RINVCMDID"
	case BadBindState:
		return "ESME_RINVBNDSTS"
	case AlreadyBound:
		return "ESME_RALYBND"
	case SystemError:
		return "ESME_RSYSERR"
	case BadSource:
		return "ESME_RINVSRCADR"
	case BadDestination:
		return "ESME_RINVDSTADR"
	case BindFailed:
		return "ESME_RBINDFAIL"
	case BadPassword:
		return "ESME_RINVPASWD"
	case BadSystemID:
		return "ESME_RINVSYSID"
	case QueueFull:
		return "ESME_RMSGQFUL"
	case BadServiceType:
		return "ESME_RINVSERTYP"
	}
	return s.laterName()
}

func (s Status) laterName() string {
	switch s {
	case BadClass:
		return "ESME_RINVESMCLASS"
	case SubmitFailed:
		return "ESME_RSUBMITFAIL"
	case BadSourceTON:
		return "ESME_RINVSRCTON"
	case BadSourceNPI:
		return "ESME_RINVSRCNPI"
	case BadDestinationTON:
		return "ESME_RINVDSTTON"
	case BadDestinationNPI:
		return "ESME_RINVDSTNPI"
	case BadSystemType:
		return "ESME_RINVSYSTYP"
	case Throttled:
		return "ESME_RTHROTTLED"
	case BadValidity:
		return "ESME_RINVEXPIRY"
	case TemporaryAppError:
		return "ESME_RX_T_APPN"
	case PermanentAppError:
		return "ESME_RX_P_APPN"
	case RefusedByApp:
		return "ESME_RX_R_APPN"
	case BadTLVs:
		return "ESME_RINVOPTPARSTREAM"
	case DeliveryFailed:
		return "ESME_RDELIVERYFAILURE"
	case UnknownError:
		return "ESME_RUNKNOWNERR"
	}
	return ""
}
