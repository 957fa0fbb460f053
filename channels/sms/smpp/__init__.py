"""SMS through an operator's own SMSC, by SMPP 3.4: one bind, both ways.

    provider       SmppSms: sends a text, part by part, and hears
    encoding       a text as octets and back; address, status: the protocol's tables
    link           the bind, kept up by a thread; line: one connection, smpplib's place
    ear            receipts and texts handed on, and acknowledged once they are durable
    delivery       what is heard; receipt: what it says of a message; assembly: long texts made whole
"""

from channels.sms.smpp.provider import SmppSms as SmppSms
