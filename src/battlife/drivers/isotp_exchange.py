"""One ISO-TP request and its answer, frame by frame, over somebody else's bus.

can-isotp keeps the rules of ISO 15765-2 (segments, flow control, separation time);
every raw frame goes through the functions given here, so that each is recorded.
"""

import logging
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from battlife.drivers.gate import PADDING
from battlife.model import Frame, Request

if TYPE_CHECKING:
    import isotp

NEXT_SEGMENT_S: Final = 1.0
"""N_Cr of ISO 15765-2: the next consecutive frame comes within this."""
PENDING_S: Final = 5.0
"""P2* of ISO 14229-2: a server that said "response pending" answers within this."""
NEGATIVE: Final = 0x7F
PENDING: Final = 0x78
POSITIVE_OFFSET: Final = 0x40


# can-isotp warns of each lost segment on stderr unless somebody listens; what was lost
# is in the readings that are rejected.
logging.getLogger("isotp").addHandler(logging.NullHandler())


class IsotpExchange:
    """Sends a request's payload and tells when its answer is complete.

    What the answer means is the decoder's to say, from the same frames.

    Parameters
    ----------
    request : with identifiers of both sides
    channel : name of the channel
    send : sends a raw frame
    """

    def __init__(
        self, request: Request, channel: str, send: Callable[[Frame], None]
    ) -> None:
        import isotp

        assert request.identifier is not None
        assert request.answer is not None
        self._request = request
        self._channel = channel
        self._send = send
        self._received: deque[isotp.CanMessage] = deque()
        mode = (
            isotp.AddressingMode.Normal_29bits
            if request.extended
            else isotp.AddressingMode.Normal_11bits
        )
        self._layer = isotp.TransportLayerLogic(
            rxfn=lambda timeout: self._received.popleft() if self._received else None,
            txfn=self._transmit,
            address=isotp.Address(mode, txid=request.identifier, rxid=request.answer),
            error_handler=_ignored,
            params={
                "tx_padding": PADDING,
                "tx_data_length": 8,
                "can_fd": request.fd,
                "stmin": 0,
                "blocksize": 0,
                "rx_consecutive_frame_timeout": int(NEXT_SEGMENT_S * 1000),
            },
        )
        self._layer.send(request.data)
        self.more_s = 0.0

    @property
    def sending(self) -> bool:
        """True while segments of the request are left."""
        return bool(self._layer.transmitting())

    def process(self) -> None:
        """Send what is due."""
        self._layer.process()

    def take(self, frame: Frame) -> bool:
        """Take a frame of the bus; return whether it completes the answer.

        `more_s` then says how much longer to wait from now, 0 for no longer than
        agreed before.
        """
        import isotp

        self.more_s = 0.0
        if (
            frame.kind != "data"
            or frame.identifier is None
            or frame.identifier != self._request.answer
            or frame.extended != self._request.extended
        ):
            return False
        message = isotp.CanMessage(
            arbitration_id=frame.identifier,
            dlc=len(frame.data),
            data=frame.data,
            extended_id=frame.extended,
            is_fd=frame.fd,
        )
        self._received.append(message)
        self._layer.process()
        payload = self._layer.recv()
        if payload is None:
            if self._layer.is_rx_active():
                self.more_s = NEXT_SEGMENT_S
            return False
        service = self._request.data[0]
        if payload[:2] == bytes([NEGATIVE, service]):
            if len(payload) > 2 and payload[2] == PENDING:
                self.more_s = PENDING_S
                return False
            return True
        return payload[:1] == bytes([(service + POSITIVE_OFFSET) & 0xFF])

    def _transmit(self, message: "isotp.CanMessage") -> None:
        self._send(
            Frame(
                0.0,
                self._channel,
                "tx",
                bytes(message.data),
                message.arbitration_id,
                bool(message.is_extended_id),
                bool(message.is_fd),
            )
        )


def _ignored(error: Exception) -> None:
    """Leave what is wrong with an answer to the decoder, which sees the frames too."""
