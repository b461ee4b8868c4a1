"""
The words of the made-up company: names of people and firms, titles, trades, places, forms, pages and mails.

Nobody of these names is meant, and no firm: they are drawn and put together by chance. Data only.
"""

from typing import Final, NamedTuple


class Tongue(NamedTuple):
    """
    Given names, family names (each with its spelling in an address), countries with a city, and forms of firms.
    """

    given: tuple[tuple[str, str], ...]
    family: tuple[tuple[str, str], ...]
    places: tuple[tuple[str, str], ...]
    forms: tuple[str, ...]
    dialling: str


def _pairs(words: str) -> tuple[tuple[str, str], ...]:
    pairs = (word.partition("=") for word in words.split())
    return tuple((name, address or name.lower()) for name, _, address in pairs)


def _places(words: str) -> tuple[tuple[str, str], ...]:
    pairs = (item.strip().partition("/") for item in words.split(","))
    return tuple((city, country) for city, _, country in pairs)


def _words(words: str) -> tuple[str, ...]:
    return tuple(words.split())


ENGLISH: Final = Tongue(
    _pairs(
        "Ada Grace Maya Olivia Hannah Naomi Claire Ruth Priya Zoe Abigail Tessa Amara Imani Leah Marcus Owen Theo "
        "Caleb Nathan Elliot Dev Isaac Rowan Julian Felix Simon Andre Kwame Dylan Victor Hugo Malik Ethan Noah Samir"
    ),
    _pairs(
        "Thornbury Okafor Ashworth Whitlock Merriweather Langford Pemberton Sinclair Hartwell Adeyemi Calloway Winslow "
        "Prescott Fairbanks Delgado Navarro Whitaker Kingsley Mercer Holloway Redfern Stanhope Bellamy Chaudhary Rao "
        "Lockwood O'Malley=omalley Fitzgerald Van-Houten=vanhouten Castellano Beaumont Dhillon Nakagawa Marchetti"
    ),
    _places(
        "Chicago/United States, Columbus/United States, Denver/United States, Atlanta/United States, "
        "Portland/United States, Boston/United States, Austin/United States, Leeds/United Kingdom, "
        "Bristol/United Kingdom, Toronto/Canada, Melbourne/Australia, Dublin/Ireland"
    ),
    ("Inc.", "LLC", "Corp.", "Ltd", ""),
    "+1 555 01",
)
GERMAN: Final = Tongue(
    _pairs("Jürgen=juergen Käthe=kaethe Anneliese Björn=bjoern Sabine Lukas Jörg=joerg Frieda Matthias Ulrike Heiko"),
    _pairs("Müller=mueller Schröder=schroeder Weiß=weiss Krähenbühl=kraehenbuehl Vogelsang Grünwald=gruenwald Brandt"),
    _places("München/Germany, Köln/Germany, Leipzig/Germany, Zürich/Switzerland, Wien/Austria"),
    ("GmbH", "AG", "GmbH & Co. KG"),
    "+49 30 2312 5",
)
FRENCH: Final = Tongue(
    _pairs("Élodie=elodie François=francois Hélène=helene Benoît=benoit Zoé=zoe Thérèse=therese Loïc=loic Mathilde"),
    _pairs("Lefèvre=lefevre Bérénger=berenger Rousseau Gauthier Dufresne Châtelain=chatelain d'Arcy=darcy Moreau"),
    _places("Lyon/France, Nantes/France, Bruxelles/Belgium, Montréal/Canada"),
    ("SA", "SAS", "SARL"),
    "+33 1 99 00 1",
)
NORDIC: Final = Tongue(
    _pairs("Åsa=asa Søren=soren Jørgen=jorgen Märta=marta Pekka Øyvind=oyvind Ingrid Håkon=hakon Saga"),
    _pairs(
        "Åkerlund=akerlund Sørensen=sorensen Lindqvist "
        "Højgaard=hojgaard Mäkinen=makinen Ødegård=odegard Nyström=nystrom"
    ),
    _places("Göteborg/Sweden, Aarhus/Denmark, Oslo/Norway, Tampere/Finland"),
    ("AB", "A/S", "AS", "Oy"),
    "+46 31 390 6",
)
SLAVIC: Final = Tongue(
    _pairs("Łukasz=lukasz Agnieszka Jiří=jiri Božena=bozena Зоя=zoya Stanisław=stanislaw Živa=ziva Дмитрий=dmitri"),
    _pairs("Wójcik=wojcik Dvořák=dvorak Kovačević=kovacevic Şahin=sahin Çelik=celik Орлова=orlova Zieliński=zielinski"),
    _places("Kraków/Poland, Brno/Czechia, İzmir/Türkiye, Ljubljana/Slovenia"),
    ("Sp. z o.o.", "s.r.o.", "A.Ş."),
    "+48 12 000 4",
)
IBERIAN: Final = Tongue(
    _pairs("José=jose Begoña=begona Inês=ines João=joao Martín=martin Lucía=lucia Íñigo=inigo Conceição=conceicao"),
    _pairs("Muñoz=munoz Ibáñez=ibanez Gonçalves=goncalves Peña=pena Araújo=araujo Núñez=nunez Etxeberria"),
    _places("València/Spain, Porto/Portugal, São Paulo/Brazil, Monterrey/Mexico"),
    ("S.L.", "Lda.", "S.A. de C.V."),
    "+34 96 000 7",
)
EASTERN: Final = Tongue(
    _pairs("健太=kenta 美咲=misaki 陽子=yoko 伟=wei 静=jing 지훈=jihoon 서연=seoyeon Nguyễn=nguyen"),
    _pairs("佐藤=sato 高橋=takahashi 山口=yamaguchi 陈=chen 林=lin 김=kim 박=park Trần=tran"),
    _places("大阪/Japan, 横浜/Japan, Singapore/Singapore, 서울/South Korea"),
    ("K.K.", "Co., Ltd.", "Pte. Ltd."),
    "+81 6 0000 3",
)

# How often each is drawn.
TONGUES: Final = ((ENGLISH, 62), (GERMAN, 10), (FRENCH, 7), (NORDIC, 7), (SLAVIC, 5), (IBERIAN, 5), (EASTERN, 4))

FIRM_FIRST: Final = _words(
    "Amberley Ashgrove Aldermoor Birchfield Blackthorn Brindle Calder Cedarholm Coldbrook Copperline Cranmere Dunmore "
    "Eastmarch Elmhurst Fairwater Fernhill Foxglove Gildersleeve Glasswing Greywater Harrowgate Hawksbury Hazelmoor "
    "Heatherton Highmark Hollowell Ironbark Juniper Kingsferry "
    "Larkspur Lindenhall Longmeadow Lowmoor Marlowe Meadowlark "
    "Millbrook Mosswood Northgate Nettlefold Oakenshaw Oldcastle Pinecrest Quarrystone Ravensworth Redwillow Rockferry "
    "Rosehill Rowanberry Saltmarsh Sandpiper Silverbirch Stonebridge "
    "Summerfield Sycamore Tamarack Thistledown Underwood "
    "Vintner Wetherby Wheatcroft Whinfield Wildmoor Windermark Wolverley Yarrow"
)
FIRM_LOCAL: Final = _words(
    "Grünwald Åkerlund Élan Łódka Peña Ødegård Krähenbühl Çınar Żubr Mäkelä Côte-Verte Muñiz みどり ひかり"
)
# The second word of a firm's name and its trade, as Salesforce spells it.
TRADES: Final = (
    ("Robotics", "Machinery"),
    ("Foods", "Food & Beverage"),
    ("Logistics", "Shipping"),
    ("Insurance", "Insurance"),
    ("Health", "Healthcare"),
    ("Energy", "Energy"),
    ("Textiles", "Apparel"),
    ("Instruments", "Electronics"),
    ("Chemicals", "Chemicals"),
    ("Media", "Media"),
    ("Bank", "Banking"),
    ("Builders", "Construction"),
    ("Biologics", "Biotechnology"),
    ("Retail Group", "Retail"),
    ("Hotels", "Hospitality"),
    ("Software", "Technology"),
    ("Paper", "Manufacturing"),
    ("Rail", "Transportation"),
    ("Telecom", "Telecommunications"),
    ("Water", "Utilities"),
)

# Title, how often, and the role it would have on a deal.
TITLES: Final = (
    ("Chief Financial Officer", 4, "Economic Buyer"),
    ("CFO", 2, "Economic Buyer"),
    ("CEO", 2, "Executive Sponsor"),
    ("CIO", 2, "Technical Buyer"),
    ("Chief Procurement Officer", 1, "Decision Maker"),
    ("VP Finance", 4, "Economic Buyer"),
    ("Vice President, Operations", 2, "Executive Sponsor"),
    ("SVP Shared Services", 1, "Decision Maker"),
    ("VP, Information Technology", 2, "Technical Buyer"),
    ("Finance Director", 5, "Decision Maker"),
    ("Director of Procurement", 5, "Decision Maker"),
    ("Director of Accounting", 3, "Evaluator"),
    ("Head of Controlling", 4, "Decision Maker"),
    ("Head of IT", 4, "Technical Buyer"),
    ("Leiterin Rechnungswesen", 2, "Evaluator"),
    ("Directeur administratif et financier", 2, "Economic Buyer"),
    ("Controller", 9, "Evaluator"),
    ("Finance Manager", 9, "Influencer"),
    ("Accounts Payable Manager", 8, "Business User"),
    ("Accounts Payable Specialist", 8, "Business User"),
    ("Procurement Manager", 8, "Influencer"),
    ("Category Buyer", 5, "Business User"),
    ("IT Manager", 7, "Technical Buyer"),
    ("IT Systems Analyst", 6, "Technical Buyer"),
    ("ERP Administrator", 5, "Technical Buyer"),
    ("Senior Accountant", 8, "Business User"),
    ("Treasury Analyst", 4, "Influencer"),
    ("Internal Auditor", 4, "Influencer"),
    ("Executive Assistant to the CFO", 2, "Other"),
    ("Operations Manager", 5, "Influencer"),
    ("Working Student", 1, "Other"),
)
STRANGE_TITLES: Final = ("Student", "Job seeker", "Independent Consultant", "Trainee", "N/A", "asdf")

# Webinars, the first of them the story's; how many days before the present each took place.
WEBINARS: Final = (
    ("Cost Control", 9),
    ("Close in Three Days", 38),
    ("Audit Without Tears", 66),
    ("Cards and Expenses", 94),
    ("Three-Way Matching", 122),
    ("Budgets People Keep", 150),
    ("Accruals for Humans", 178),
    ("Approvals on the Phone", 206),
    ("Invoices at the Source", 234),
    ("Spend by Supplier", 262),
    ("From Spreadsheets to Ledger", 290),
    ("Year End, Calmly", 332),
    ("Card Fraud, Stopped", 360),
    ("Travel Without Receipts", 388),
    ("Purchase Orders, Revisited", 416),
    ("One Ledger, Many Entities", 444),
    ("What Suppliers Want", 472),
    ("Forecasts That Hold", 500),
    ("The Paperless Quarter", 528),
)
EVENTS: Final = (
    ("Finance Forward", 24, "Trade Show", 48_000),
    ("Procurement Days", 87, "Trade Show", 36_000),
    ("Controllers' Breakfast", 128, "Conference", 6_500),
    ("Ledger Summit", 199, "Conference", 82_000),
    ("Shared Services Week", 301, "Trade Show", 29_000),
    ("Finance Forward", 396, "Trade Show", 45_000),
    ("Procurement Days", 459, "Trade Show", 34_000),
    ("Controllers' Breakfast", 500, "Conference", 6_000),
)
CONTENT: Final = (
    "Guide to Spend Control",
    "Benchmark Report: Days to Close",
    "Checklist: Audit Season",
    "Whitepaper: Matching Invoices",
    "Guide to Card Programs",
    "Case Study: Paperless Payables",
    "E-book: Procurement for CFOs",
)
SEARCH_CAMPAIGNS: Final = ("spend-management", "expense-software", "ap-automation", "brand")
SOCIAL_CAMPAIGNS: Final = ("cfo-audience", "controllers-lookalike")
PAGES: Final = ("/", "/product", "/product/cards", "/product/invoices", "/customers", "/blog/close-faster", "/about")
SALES_PAGES: Final = ("/pricing", "/demo", "/roi-calculator")
DULL_PAGES: Final = ("/careers/controller", "/login", "/support/tickets", "/unsubscribe")
HAND_RAISES: Final = ("Demo Request", "Contact Sales", "Pricing Request")
AGENT: Final = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Safari/537.36"
)
BOT_AGENT: Final = "Mozilla/5.0 (compatible; LinkScanner/3.1)"
