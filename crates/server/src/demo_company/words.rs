//! The words of the demo company. Every name of a person or a company is made up.

/// First names; with [`LAST_NAMES`] they make people.
pub const FIRST_NAMES: [&str; 40] = [
    "Ada", "Aron", "Bea", "Bram", "Cleo", "Corin", "Dagny", "Davin", "Edda", "Elio", "Fenna",
    "Finn", "Greta", "Gil", "Hanne", "Hugo", "Ines", "Ivo", "Jana", "Joris", "Kaja", "Kees",
    "Lena", "Lorin", "Maud", "Milo", "Nadia", "Nils", "Oda", "Otis", "Petra", "Piet", "Romy",
    "Ruben", "Sanne", "Sven", "Thea", "Tijs", "Vera", "Wim",
];

/// Surnames that sound like surnames and are none.
pub const LAST_NAMES: [&str; 40] = [
    "Aldermoor",
    "Ashgrove",
    "Braskel",
    "Brenwick",
    "Caldwen",
    "Corvane",
    "Dornick",
    "Drevane",
    "Eastholt",
    "Elverd",
    "Fenholt",
    "Fosseway",
    "Garrowby",
    "Glenmark",
    "Hestrin",
    "Hollowind",
    "Ingstad",
    "Ivermoor",
    "Jarnvik",
    "Kelbrook",
    "Korvald",
    "Larkwell",
    "Lindquay",
    "Marrenby",
    "Mossvane",
    "Nordhagel",
    "Nyeford",
    "Oakrind",
    "Ostergate",
    "Pellworth",
    "Quillmere",
    "Ravensby",
    "Rosvang",
    "Sandrick",
    "Stornhof",
    "Tarnholm",
    "Thorvale",
    "Umberly",
    "Vandrell",
    "Wexmoor",
];

/// First words of company names.
pub const COMPANY_FIRST: [&str; 48] = [
    "Alderpoint",
    "Amberly",
    "Anchorfield",
    "Applegarth",
    "Bellhaven",
    "Birchrow",
    "Bluequay",
    "Brightwater",
    "Canalside",
    "Cedarline",
    "Cloverfield",
    "Copperlane",
    "Dovetail",
    "Driftwood",
    "Eastquay",
    "Elmhurst",
    "Fairmeadow",
    "Ferngate",
    "Foxhollow",
    "Goldcrest",
    "Greenfinch",
    "Harbourlight",
    "Hawthorn",
    "Hazelbank",
    "Ironbridge",
    "Ivyhouse",
    "Juniper",
    "Kestrel",
    "Lanternhill",
    "Larkspur",
    "Lindenhof",
    "Maplewood",
    "Marigold",
    "Millrace",
    "Northbank",
    "Oakfield",
    "Oldmarket",
    "Orchard",
    "Pinecrest",
    "Quayside",
    "Redwharf",
    "Rosebank",
    "Silverbirch",
    "Stonegate",
    "Sunnybrook",
    "Thistle",
    "Westmoor",
    "Willowbend",
];

/// Second words of company names, with the segment that such a company belongs to.
pub const COMPANY_SECOND: [(&str, &str); 32] = [
    ("Kitchens", "retail"),
    ("Homeware", "retail"),
    ("Interiors", "retail"),
    ("Stores", "retail"),
    ("Department Store", "retail"),
    ("Garden Centre", "retail"),
    ("Outfitters", "retail"),
    ("Gifts", "retail"),
    ("Furnishings", "retail"),
    ("Market Hall", "retail"),
    ("Living", "retail"),
    ("Bazaar", "retail"),
    ("Hotel", "hospitality"),
    ("Restaurants", "hospitality"),
    ("Catering", "hospitality"),
    ("Brasserie", "hospitality"),
    ("Guest House", "hospitality"),
    ("Resort", "hospitality"),
    ("Bakery", "hospitality"),
    ("Coffee Roasters", "hospitality"),
    ("Builders", "trade"),
    ("Joinery", "trade"),
    ("Workshops", "trade"),
    ("Property Services", "trade"),
    ("Contractors", "trade"),
    ("Landscaping", "trade"),
    ("Electrical", "trade"),
    ("Maintenance", "trade"),
    ("University", "public sector"),
    ("Town Council", "public sector"),
    ("Hospital Trust", "public sector"),
    ("Community College", "public sector"),
];

/// Second words of supplier names.
pub const SUPPLIER_SECOND: [&str; 12] = [
    "Manufacturing",
    "Ceramics",
    "Metalworks",
    "Timber",
    "Textiles",
    "Tools",
    "Lighting",
    "Plastics",
    "Glassworks",
    "Industries",
    "Imports",
    "Mills",
];

/// A country with its cities, dialling code, legal form of companies and share of customers per thousand.
pub struct Country {
    /// The name.
    pub name: &'static str,
    /// Some of its cities.
    pub cities: &'static [&'static str],
    /// The dialling code.
    pub dialling_code: &'static str,
    /// What a company there may write behind its name.
    pub legal_form: &'static str,
    /// Customers there of a thousand.
    pub weight: u32,
}

/// Where the company sells; the first is where it is at home.
pub const COUNTRIES: [Country; 10] = [
    country(
        "Netherlands",
        &[
            "Amsterdam",
            "Rotterdam",
            "Utrecht",
            "Eindhoven",
            "Groningen",
        ],
        "+31",
        "B.V.",
        300,
    ),
    country(
        "Germany",
        &["Hamburg", "Berlin", "Munich", "Cologne", "Leipzig"],
        "+49",
        "GmbH",
        210,
    ),
    country(
        "Belgium",
        &["Antwerp", "Ghent", "Brussels", "Liege"],
        "+32",
        "NV",
        130,
    ),
    country(
        "France",
        &["Paris", "Lyon", "Lille", "Nantes"],
        "+33",
        "SARL",
        110,
    ),
    country(
        "United Kingdom",
        &["London", "Leeds", "Bristol", "Glasgow"],
        "+44",
        "Ltd",
        80,
    ),
    country("Denmark", &["Copenhagen", "Aarhus"], "+45", "ApS", 50),
    country("Sweden", &["Stockholm", "Malmo"], "+46", "AB", 40),
    country("Austria", &["Vienna", "Graz"], "+43", "GmbH", 35),
    country("Italy", &["Milan", "Turin"], "+39", "S.r.l.", 30),
    country("Spain", &["Barcelona", "Madrid"], "+34", "S.L.", 15),
];

const fn country(
    name: &'static str,
    cities: &'static [&'static str],
    dialling_code: &'static str,
    legal_form: &'static str,
    weight: u32,
) -> Country {
    Country {
        name,
        cities,
        dialling_code,
        legal_form,
        weight,
    }
}

/// A category with its products and how its sales go through the year.
pub struct Category {
    /// The name.
    pub name: &'static str,
    /// The three letters that begin its product codes.
    pub code: &'static str,
    /// What is in it; `None` is one of the blemishes.
    pub description: Option<&'static str>,
    /// How much is sold in January to December; 10 is an average month.
    pub season: [u32; 12],
    /// Products with their price in cents for the standard variant.
    pub products: [(&'static str, i64); 6],
}

/// What the company sells. Each product comes in the variants of [`VARIANTS`].
pub const CATEGORIES: [Category; 10] = [
    Category {
        name: "Cookware",
        code: "COO",
        description: Some("Pots, pans and what belongs on the stove"),
        season: [9, 8, 9, 9, 9, 8, 8, 8, 10, 11, 15, 17],
        products: [
            ("Frying Pan", 3490),
            ("Saucepan", 2990),
            ("Stock Pot", 5490),
            ("Casserole", 6990),
            ("Wok", 4290),
            ("Griddle", 3890),
        ],
    },
    Category {
        name: "Tableware",
        code: "TAB",
        description: Some("Plates, bowls, glasses and cutlery"),
        season: [8, 8, 9, 10, 11, 10, 9, 8, 10, 10, 13, 16],
        products: [
            ("Dinner Plate", 990),
            ("Soup Bowl", 850),
            ("Wine Glass", 690),
            ("Cutlery Set", 4990),
            ("Serving Dish", 1890),
            ("Mug", 590),
        ],
    },
    Category {
        name: "Garden",
        code: "GAR",
        description: Some("Tools, pots and furniture for outdoors"),
        season: [3, 5, 14, 20, 21, 17, 13, 9, 7, 5, 3, 3],
        products: [
            ("Spade", 2790),
            ("Pruning Shears", 1990),
            ("Watering Can", 1490),
            ("Garden Bench", 17900),
            ("Planter", 2490),
            ("Parasol", 8900),
        ],
    },
    Category {
        name: "Lighting",
        code: "LIG",
        description: Some("Lamps and lanterns"),
        season: [11, 10, 8, 7, 6, 6, 6, 8, 11, 14, 16, 17],
        products: [
            ("Desk Lamp", 3990),
            ("Floor Lamp", 8990),
            ("Pendant Light", 7490),
            ("Wall Light", 4590),
            ("Lantern", 2290),
            ("Light Strip", 1890),
        ],
    },
    Category {
        name: "Furniture",
        code: "FUR",
        description: Some("Chairs, tables and shelves"),
        season: [12, 10, 10, 10, 10, 9, 8, 9, 11, 10, 10, 11],
        products: [
            ("Stool", 4990),
            ("Dining Chair", 9900),
            ("Side Table", 8490),
            ("Bookcase", 15900),
            ("Desk", 22900),
            ("Coat Rack", 5990),
        ],
    },
    Category {
        name: "Textiles",
        code: "TEX",
        description: Some("Towels, linen, rugs and cushions"),
        season: [12, 9, 9, 9, 9, 8, 8, 8, 10, 11, 13, 14],
        products: [
            ("Bath Towel", 1490),
            ("Tablecloth", 2690),
            ("Cushion", 1790),
            ("Wool Blanket", 5990),
            ("Rug", 9900),
            ("Apron", 1590),
        ],
    },
    Category {
        name: "Hand Tools",
        code: "TOO",
        description: Some("Tools that need no power"),
        season: [9, 9, 11, 12, 11, 10, 9, 9, 10, 10, 10, 11],
        products: [
            ("Hammer", 1890),
            ("Screwdriver Set", 2490),
            ("Hand Saw", 2190),
            ("Spirit Level", 1690),
            ("Tool Box", 3490),
            ("Chisel Set", 3990),
        ],
    },
    Category {
        name: "Storage",
        code: "STO",
        description: Some("Boxes, baskets and jars"),
        season: [14, 11, 10, 10, 9, 9, 9, 11, 11, 9, 8, 9],
        products: [
            ("Storage Box", 1290),
            ("Wicker Basket", 1990),
            ("Glass Jar", 490),
            ("Shelf Unit", 6990),
            ("Laundry Bin", 3290),
            ("Drawer Insert", 1190),
        ],
    },
    Category {
        name: "Cleaning",
        code: "CLE",
        description: None,
        season: [10, 10, 12, 11, 10, 9, 9, 9, 10, 10, 10, 10],
        products: [
            ("Broom", 1290),
            ("Bucket", 890),
            ("Dustpan Set", 790),
            ("Mop", 1690),
            ("Dish Brush", 390),
            ("Waste Bin", 4490),
        ],
    },
    Category {
        name: "Seasonal Gifts",
        code: "GIF",
        description: Some("Candles, decorations and gift sets"),
        season: [3, 8, 6, 6, 8, 4, 3, 4, 7, 12, 28, 31],
        products: [
            ("Candle Set", 1590),
            ("Gift Hamper", 5990),
            ("Wreath", 2490),
            ("Ornament Box", 1990),
            ("Photo Frame", 1390),
            ("Tea Set", 4990),
        ],
    },
];

/// Variants of every product, with their price as a percentage of the standard one.
pub const VARIANTS: [(&str, i64); 3] = [("Classic", 100), ("Compact", 78), ("Professional", 165)];

/// Departments: name, city, annual budget in cents.
pub const DEPARTMENTS: [(&str, &str, i64); 7] = [
    ("Management", "Rotterdam", 42_000_000),
    ("Sales", "Rotterdam", 95_000_000),
    ("Purchasing", "Rotterdam", 38_000_000),
    ("Warehouse", "Venlo", 71_000_000),
    ("Finance", "Rotterdam", 33_000_000),
    ("Customer Service", "Utrecht", 29_000_000),
    ("Information Technology", "Utrecht", 36_000_000),
];

/// Jobs: title, department as an index into [`DEPARTMENTS`], people, monthly salary in cents. The first of a
/// department leads it; the very first leads the company.
pub const JOBS: [(&str, usize, usize, i64); 15] = [
    ("Managing Director", 0, 1, 1_150_000),
    ("Office Manager", 0, 1, 395_000),
    ("Head of Sales", 1, 1, 720_000),
    ("Account Manager", 1, 8, 440_000),
    ("Head of Purchasing", 2, 1, 640_000),
    ("Buyer", 2, 3, 410_000),
    ("Warehouse Manager", 3, 1, 520_000),
    ("Warehouse Worker", 3, 6, 285_000),
    ("Head of Finance", 4, 1, 690_000),
    ("Accountant", 4, 3, 430_000),
    ("Customer Service Lead", 5, 1, 445_000),
    ("Customer Service Agent", 5, 4, 310_000),
    ("Head of IT", 6, 1, 660_000),
    ("Software Developer", 6, 1, 505_000),
    ("Data Analyst", 6, 1, 470_000),
];

/// The chart of accounts: number, name, type.
pub const ACCOUNTS: [(i64, &str, &str); 15] = [
    (1000, "Bank", "asset"),
    (1100, "Accounts Receivable", "asset"),
    (1200, "Inventory", "asset"),
    (1500, "Warehouse Equipment", "asset"),
    (2000, "Accounts Payable", "liability"),
    (2100, "VAT Payable", "liability"),
    (2500, "Bank Loan", "liability"),
    (3000, "Share Capital", "equity"),
    (4000, "Sales Revenue", "revenue"),
    (4100, "Sales Returns", "revenue"),
    (5000, "Cost of Goods Sold", "expense"),
    (6000, "Salaries", "expense"),
    (6100, "Rent", "expense"),
    (6200, "Utilities", "expense"),
    (6300, "Marketing", "expense"),
];
