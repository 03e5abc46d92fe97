"""A virtual radio: Bumble's controllers on one link, faithful enough for BlueZ, the Linux kernel and impatient clients.

Bumble 0.0.236 has a controller for its own tests.  Added here, each where the Core Specification says so (volume and
part are named): scan responses of their own, non-connectable and scannable advertisements, the advertising delay,
signal strength, passive scans, an end for cancelled connections, one central per peripheral, range and its loss, a
reset that drops links.  Left out: encryption of the link, privacy, extended advertising.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from typing import TYPE_CHECKING, Any

from bumble import hci, ll
from bumble.controller import Controller, LegacyAdvertiser
from bumble.link import LocalLink

if TYPE_CHECKING:
    from bumble.core import PhysicalTransport

logging.getLogger("bumble").setLevel(logging.CRITICAL)  # it reports each packet that arrives after a link's end

MIN_INTERVAL_UNITS = 32  # 20 ms: the shortest that is allowed (vol. 4, part E, 7.8.5)
INTERVAL_UNIT_S = 0.000625
MAX_DELAY_S = 0.010  # advDelay, drawn anew for each event (vol. 6, part B, 4.4.2.2.1)
MAX_ACL_BYTES = 251
ADV_IND, ADV_SCAN_IND, ADV_NONCONN_IND, SCAN_RSP = 0, 2, 3, 4  # event types of a report (vol. 4, part E, 7.7.65.2)
ACTIVE_SCAN = 1

Parameters = hci.HCI_LE_Set_Advertising_Parameters_Command.AdvertisingType
EVENT_TYPES = {Parameters.ADV_IND: ADV_IND, Parameters.ADV_SCAN_IND: ADV_SCAN_IND}


class Air(LocalLink):
    """What all radios share."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Bumble does not annotate it
        self.unreachable: set[Controller] = set()

    def send_acl_data(
        self, sender_controller: Controller, destination_address: hci.Address, transport: PhysicalTransport, data: bytes
    ) -> None:
        """Deliver under the address that the link was made with, be it public or random."""
        link = sender_controller.le_connections.get(destination_address)
        receiver = self.find_le_controller(destination_address)
        if link is None or receiver is None or {sender_controller, receiver} & self.unreachable:
            return
        asyncio.get_running_loop().call_soon(receiver.on_link_acl_data, link.self_address, transport, data)

    def send_ll_control_pdu(
        self, sender_address: hci.Address, receiver_address: hci.Address, packet: ll.ControlPdu
    ) -> None:
        """Nobody is told anything out of range."""
        receiver = self.find_le_controller(receiver_address)
        if receiver is not None and receiver not in self.unreachable:
            asyncio.get_running_loop().call_soon(self._tell, receiver, sender_address, packet)

    @staticmethod
    def _tell(receiver: Controller, sender_address: hci.Address, packet: ll.ControlPdu) -> None:
        if sender_address in receiver.le_connections:  # else the link ended meanwhile
            receiver.on_ll_control_pdu(sender_address, packet)

    def advertise(self, sender: VirtualController, event_type: int, data: bytes) -> None:
        """One advertising event: everybody in range hears it."""
        if sender in self.unreachable:
            return
        loop = asyncio.get_running_loop()
        for radio in self.controllers:
            if radio is not sender and radio not in self.unreachable and isinstance(radio, VirtualController):
                loop.call_soon(radio.hear, sender, event_type, data)

    def lose(self, radio: Controller, supervision_s: float = 0.0) -> None:
        """Take a radio out of range; its links end after the supervision timeout."""
        self.unreachable.add(radio)
        if supervision_s > 0.0:
            asyncio.get_running_loop().call_later(supervision_s, self._end_if_unreachable, radio)
        else:
            self.end_links(radio, hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR)

    def recover(self, radio: Controller) -> None:
        """Bring it back."""
        self.unreachable.discard(radio)

    def end_links(self, radio: Controller, reason: int) -> None:
        """End all links of a radio, at both ends."""
        for link in list(radio.le_connections.values()):
            peer = self.find_le_controller(link.peer_address)
            back = peer.le_connections.get(link.self_address) if peer is not None else None
            if peer is not None and back is not None:
                peer.on_le_disconnected(back, reason)
            radio.on_le_disconnected(link, reason)

    def remove(self, radio: Controller) -> None:
        """A radio was switched off or pulled: its links end, and it is no more."""
        self.end_links(radio, hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR)
        radio.le_legacy_advertiser.stop()
        self.unreachable.discard(radio)
        self.controllers.discard(radio)

    def _end_if_unreachable(self, radio: Controller) -> None:
        if radio in self.unreachable:
            self.end_links(radio, hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR)


class Advertiser(LegacyAdvertiser):
    """Legacy advertising with the interval that was asked for."""

    def _on_timer_fired(self) -> None:
        self.send_advertising_data()
        interval_s = max(self.advertising_interval_min, MIN_INTERVAL_UNITS) * INTERVAL_UNIT_S
        delay_s = self.controller.delays.uniform(0.0, MAX_DELAY_S)  # type: ignore[attr-defined]  # a VirtualController
        self.timer_handle = asyncio.get_running_loop().call_later(interval_s + delay_s, self._on_timer_fired)

    def send_advertising_data(self) -> None:
        """One event."""
        if self.enabled:
            event_type = EVENT_TYPES.get(Parameters(self.advertising_type), ADV_NONCONN_IND)
            self.controller.link.advertise(self.controller, event_type, self.advertising_data)  # type: ignore[attr-defined]  # an Air


class VirtualController(Controller):
    """One radio, without the features that Bumble announces but does not finish: Linux would wait for them."""

    link: Air

    def __init__(self, name: str, air: Air, public_address: str, *, rssi_dbm: int = -50, **ends: Any) -> None:
        """`ends` are Bumble's `host_source` and `host_sink`; without them the host is in this process."""
        super().__init__(name, link=air, public_address=public_address, **ends)
        self.rssi_dbm = rssi_dbm
        self.delays = random.Random(public_address)  # the same for the same radio
        self.le_legacy_advertiser = Advertiser(self)
        self.le_acl_data_packet_length = MAX_ACL_BYTES
        self.supported_max_tx_octets = self.supported_max_rx_octets = MAX_ACL_BYTES
        self.le_features &= ~(hci.LeFeatureMask.LL_PRIVACY | hci.LeFeatureMask.LE_EXTENDED_ADVERTISING)

    def hear(self, sender: VirtualController, event_type: int, data: bytes) -> None:
        """One advertising event of another radio: report it, ask for more, or connect."""
        advertiser = sender.le_legacy_advertiser
        if self.le_scan_enable:
            self._report(event_type, advertiser.address, data, sender.rssi_dbm)
            if self.le_scan_type == ACTIVE_SCAN and event_type != ADV_NONCONN_IND:
                self._report(SCAN_RSP, advertiser.address, advertiser.scan_response_data, sender.rssi_dbm)
        pending = self.pending_le_connection
        if pending is None or pending.peer_address != advertiser.address or event_type != ADV_IND:
            return
        if advertiser.enabled and advertiser.address not in self.le_connections:  # else another central was faster
            self.create_le_connection(advertiser.address)

    def send_advertising_pdu(self, packet: ll.AdvertisingPdu) -> None:
        """A central connects; at once, so that it is the only one.  Advertisements go through `Air.advertise`."""
        if isinstance(packet, ll.ConnectInd):
            for radio in list(self.link.controllers):
                if radio is not self:
                    radio.on_le_connect_ind(packet)

    def _report(self, event_type: int, address: hci.Address, data: bytes, rssi_dbm: int) -> None:
        report = hci.HCI_LE_Advertising_Report_Event.Report(
            event_type=event_type, address_type=address.address_type, address=address, data=data, rssi=rssi_dbm
        )
        self.send_hci_packet(hci.HCI_LE_Advertising_Report_Event([report]))

    def on_hci_le_create_connection_cancel_command(
        self, _command: hci.HCI_LE_Create_Connection_Cancel_Command
    ) -> hci.HCI_StatusReturnParameters:
        """Vol. 4, part E, 7.8.13: the pending connection completes with the error Unknown Connection Identifier."""
        pending, self.pending_le_connection = self.pending_le_connection, None
        if pending is None:
            return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.COMMAND_DISALLOWED_ERROR)
        self.send_hci_packet(
            hci.HCI_LE_Connection_Complete_Event(
                status=hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR,
                connection_handle=0,
                role=hci.Role.CENTRAL,
                peer_address_type=pending.peer_address.address_type,
                peer_address=pending.peer_address,
                connection_interval=0,
                peripheral_latency=0,
                supervision_timeout=0,
                central_clock_accuracy=0,
            )
        )
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)

    def on_hci_reset_command(self, _command: hci.HCI_Reset_Command) -> hci.HCI_StatusReturnParameters:
        """Vol. 4, part E, 7.3.2: a host that was killed left links behind; the next one starts with a reset."""
        reason = hci.HCI_ErrorCode.REMOTE_DEVICE_TERMINATED_CONNECTION_DUE_TO_POWER_OFF_ERROR
        for connection in list(self.le_connections.values()):
            with contextlib.suppress(hci.HCI_Error):
                connection.send_ll_control_pdu(ll.TerminateInd(reason))
        self.le_connections.clear()
        self.pending_le_connection = None
        self.le_scan_enable = False
        self.le_legacy_advertiser.stop()
        return super().on_hci_reset_command(_command)
