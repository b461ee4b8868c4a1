"""
Lists that matching bars with: free-mail providers, hosts that many companies share, mailboxes that many people read.

They are defaults; a rule file may name more. Nothing here computes.
"""

from typing import Final


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_FREE_BRANDS: Final = (
    "gmail",
    "googlemail",
    "yahoo",
    "ymail",
    "rocketmail",
    "hotmail",
    "outlook",
    "live",
    "msn",
    "aol",
    "gmx",
)
_FREE_ENDINGS: Final = (
    *("com", "net", "org", "at", "be", "ca", "ch", "cl", "cn", "co.id", "co.in", "co.jp", "co.kr", "co.nz", "co.th"),
    *("co.uk", "co.za", "com.ar", "com.au", "com.br", "com.cn", "com.hk", "com.mx", "com.my", "com.ph", "com.sg"),
    *("com.tr", "com.tw", "com.vn", "cz", "de", "dk", "es", "eu", "fi", "fr", "gr", "hu", "ie", "in", "it", "jp", "lu"),
    *("nl", "no", "pl", "pt", "ro", "ru", "se", "sg"),
)
_OTHER_FREE: Final = _words(
    """
    126.com 139.com 163.com 189.cn aim.com alice.it arcor.de att.net bellsouth.net bigpond.com bluewin.ch bol.com.br
    btinternet.com centrum.cz charter.net chello.at comcast.net cox.net daum.net earthlink.net email.com email.cz
    fastmail.com fastmail.fm foxmail.com free.fr freenet.de freemail.hu frontier.com googlemail.com hanmail.net
    hey.com home.nl hotmail.co i.ua icloud.com ig.com.br inbox.com inbox.lv inbox.ru interia.pl juno.com kpnmail.nl
    kolumbus.fi laposte.net libero.it list.ru live.co.uk lycos.com mac.com mail.com mail.de mail.ru mailbox.org
    mailinator.com me.com mindspring.com naver.com neuf.fr nate.com netscape.net netzero.net numericable.fr o2.pl
    onet.pl online.de online.no optonline.net optusnet.com.au orange.fr outlook.com pm.me posteo.de proton.me
    protonmail.ch protonmail.com qq.com rambler.ru rediffmail.com roadrunner.com rogers.com sapo.pt sbcglobal.net
    seznam.cz sfr.fr shaw.ca sina.com sky.com skynet.be sohu.com sympatico.ca t-online.de talktalk.net telenet.be
    telia.com telus.net terra.com.br tin.it tiscali.it tutanota.com tuta.io ukr.net uol.com.br verizon.net
    videotron.ca virgilio.it virginmedia.com wanadoo.fr web.de windstream.net wp.pl xs4all.nl yandex.com yandex.ru
    yeah.net zoho.com ziggo.nl guerrillamail.com sharklasers.com yopmail.com trashmail.com tempmail.com
    10minutemail.com maildrop.cc """
)
FREE_MAIL: Final[frozenset[str]] = _OTHER_FREE | {f"{brand}.{end}" for brand in _FREE_BRANDS for end in _FREE_ENDINGS}

# A page on one of these says nothing about whose domain it is.
SHARED_HOSTS: Final[frozenset[str]] = _words(
    """
    linkedin.com facebook.com fb.com instagram.com twitter.com x.com xing.com youtube.com youtu.be tiktok.com
    pinterest.com vimeo.com medium.com github.com gitlab.com google.com goo.gl bit.ly t.co linktr.ee crunchbase.com
    wikipedia.org yelp.com wixsite.com wix.com weebly.com squarespace.com wordpress.com blogspot.com tumblr.com
    business.site godaddysites.com strikingly.com jimdo.com jimdofree.com webnode.com angel.co glassdoor.com indeed.com
    amazon.com ebay.com etsy.com apple.com sharepoint.com onmicrosoft.com salesforce.com hubspot.com
    """
)
# These companies are real and have people of their own: their host is shared for websites only, not for e-mail.
SHARED_FOR_WEBSITES_ONLY: Final[frozenset[str]] = _words(
    """
    linkedin.com facebook.com fb.com twitter.com x.com xing.com tiktok.com pinterest.com vimeo.com medium.com github.com
    gitlab.com google.com crunchbase.com yelp.com wix.com weebly.com squarespace.com godaddysites.com glassdoor.com
    indeed.com amazon.com ebay.com etsy.com apple.com salesforce.com hubspot.com
    """
)

# The part before the @ of mailboxes that belong to a function and not to a person.
ROLE_MAILBOXES: Final[frozenset[str]] = _words(
    """
    abuse account accounting accounts accountspayable admin administrator ap ar backoffice billing board booking
    bookings buchhaltung careers compliance contact contacto contactus contact-us customercare customerservice
    customer.service customersupport datenschutz dev devops donotreply do-not-reply einkauf enquiries enquiry events
    everyone feedback finance frontdesk hallo hello help helpdesk hostmaster hr human.resources info information infos
    inquiries inquiry investors invoice invoices it itsupport jobs kontakt legal list mail mailer-daemon mailbox
    management marketing media news newsletter no-reply noc noreply office operations orders ordering partners
    payments payroll personal postmaster pr press privacy procurement purchasing reception recruiting recruitment
    register registration reservations root sales sales-team salesteam security service services shop sistemas soporte
    spam staff support sysadmin team tech technik unsubscribe ventas verkauf vertrieb webmaster welcome zentrale
    """
)
